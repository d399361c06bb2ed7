"""The text of nginx's configuration: filled in from templates, with values that nginx takes as they are."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from slipway.ops.settings import ROOT

NGINX_DIR = ROOT / "nginx"


def templates() -> dict[str, str]:
    """The text of each file that is filled in, by its name."""
    return {path.stem: path.read_text() for path in sorted(NGINX_DIR.glob("*.template"))}


def render(text: str, values: Mapping[str, str]) -> str:
    """Fill in a template's `${NAME}`s; nginx's own variables are `$name`. A name without a value raises KeyError."""
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], text)


def alternatives(paths: Iterable[str]) -> str:
    """A part of a regular expression that matches one of the paths; characters with a meaning of their own are escaped.

    As hexadecimal numbers, so that neither nginx's parser nor envsubst nor compose finds anything to read in it.
    """
    return "|".join(re.sub(r"[^\w/-]", lambda match: f"\\x{ord(match[0]):02x}", path, flags=re.ASCII) for path in paths)


def quoted(path: Path, *, pattern: bool = False) -> str:
    """A path for a string in double quotes of an include, which is a glob pattern if it has any sign of one."""
    text = str(path)
    if pattern or re.search(r"[*?[]", text):
        text = re.sub(r"([*?[\]\\])", r"\\\1", text)
    return re.sub(r'(["\\])', r"\\\1", text)


def literal(path: Path) -> str:
    """A path for a string in double quotes of a directive that takes variables: `$` is one, of the same value."""
    return re.sub(r'(["\\])', r"\\\1", str(path)).replace("$", "${dollar}")

"""Fills in the templates of nginx's configuration, and escapes values for it."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from slipway.ops.settings import ROOT

NGINX_DIR = ROOT / "nginx"


def templates() -> dict[str, str]:
    """Return the text of each template, by the name of the file that it becomes."""
    return {path.stem: path.read_text() for path in sorted(NGINX_DIR.glob("*.template"))}


def render(text: str, values: Mapping[str, str]) -> str:
    """Fill in a template's `${NAME}`s; nginx's own variables are `$name`. A name without a value raises KeyError."""
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], text)


def alternatives(paths: Iterable[str]) -> str:
    """Return a part of a regular expression that matches one of the paths; special characters are escaped.

    They become hexadecimal escapes, which mean nothing to nginx's parser, envsubst or compose.
    """
    return "|".join(re.sub(r"[^\w/-]", lambda match: f"\\x{ord(match[0]):02x}", path, flags=re.ASCII) for path in paths)


def quoted(path: Path, *, pattern: bool = False) -> str:
    """Escape a path for a double-quoted string; `include` reads it as a glob pattern if it has any glob character."""
    text = str(path)
    if pattern or re.search(r"[*?[]", text):
        text = re.sub(r"([*?[\]\\])", r"\\\1", text)
    return re.sub(r'(["\\])', r"\\\1", text)


def literal(path: Path) -> str:
    """Escape a path for a double-quoted string in which `$` begins a variable; `${dollar}` has the value `$`."""
    return re.sub(r'(["\\])', r"\\\1", str(path)).replace("$", "${dollar}")

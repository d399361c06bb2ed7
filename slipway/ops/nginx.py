"""nginx outside a container: what the image's entrypoint does there, and the command that starts it."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from slipway.ops.packages import find
from slipway.ops.settings import ROOT
from slipway.serving.config import PROXY_READ_TIMEOUT

NGINX_DIR = ROOT / "nginx"


def render(values: dict[str, str]) -> str:
    """Fill in the template's `${NAME}`s; nginx's own variables are `$name`. A name without a value raises KeyError."""
    text = (NGINX_DIR / "nginx.conf.template").read_text()
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], text)


def quoted(path: Path, *, pattern: bool = False) -> str:
    """A path for a string in double quotes of an include, which is a glob pattern if it has any sign of one."""
    text = str(path)
    if pattern or re.search(r"[*?[]", text):
        text = re.sub(r"([*?[\]\\])", r"\\\1", text)
    return re.sub(r'(["\\])', r"\\\1", text)


def prepare(
    folder: Path, *, listen: str, socket_dir: Path, max_body_bytes: int, read_timeout: int = PROXY_READ_TIMEOUT
) -> list[str]:
    """Write the configuration below a folder, and return the command that runs nginx in the foreground."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "NGINX_DIR": quoted(NGINX_DIR),
        "SOCKET_DIR": quoted(socket_dir, pattern=True),
        "HTTP_LISTEN": listen,
        "MAX_BODY_BYTES": str(max_body_bytes),
        "PROXY_READ_TIMEOUT": str(read_timeout),
    }
    configuration = folder / "nginx.conf"
    configuration.write_bytes(os.fsencode(render(values)))
    # Started by root, nginx's workers would be `nobody`, who can't reach sockets below a home that only root may enter.
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    return [find("nginx") or "nginx", "-p", f"{folder}/", "-c", str(configuration), "-g", directives]


def logged(command: Sequence[str], python: str = sys.executable) -> list[str]:
    """The command that runs nginx with its log as JSON, which nothing that is not read can block."""
    return [python, "-IS", str(ROOT / "slipway" / "ops" / "logged.py"), *command]

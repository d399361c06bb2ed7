"""The version and the features of the installed nginx, from `nginx -V`."""

import re
import subprocess
from functools import cache
from pathlib import Path

from slipway.ops.https import Dialect
from slipway.ops.packages import find

NOWHERE = Path("/nowhere")


def version() -> tuple[int, ...]:
    """Return its version; empty if nginx is not installed."""
    found = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", _build())
    return tuple(int(number) for number in found.groups()) if found else ()


def dialect() -> Dialect:
    """Return which directives for HTTPS it supports."""
    return Dialect(http2_directive=version() >= (1, 25, 1), http3="--with-http_v3_module" in _build())


def modules_dir() -> Path:
    """Return the folder of its modules."""
    found = re.search(r"--modules-path=(\S+)", _build())
    return Path(found[1]) if found else NOWHERE


@cache
def _build() -> str:
    """Return the output of `nginx -V`."""
    try:
        return subprocess.run([find("nginx") or "nginx", "-V"], capture_output=True, text=True, timeout=10).stderr
    except (OSError, subprocess.TimeoutExpired):
        return ""

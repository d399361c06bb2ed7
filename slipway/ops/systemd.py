"""A systemd unit that starts this folder's stack at each boot: `make service`.

The unit runs the same verbs as an operator. It is a system unit if root writes it, else a user unit.
https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html
"""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from slipway.ops.settings import ROOT, StackSettings

UNIT = """\
[Unit]
Description=Slipway in {description}
Wants=network-online.target
After=network-online.target docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
WorkingDirectory={folder}
{environment}ExecStart={python} -m slipway.ops up
ExecReload={python} -m slipway.ops reload
ExecStop={python} -m slipway.ops down
TimeoutStartSec=infinity
TimeoutStopSec={stop_seconds}

[Install]
WantedBy={target}
"""
STOP_SECONDS = 60  # in addition to the grace period: docker compose itself needs some


def write(settings: StackSettings) -> str:
    """Write the unit; return the command that enables and starts it."""
    path = settings.run_dir / f"{_name(ROOT)}.service"
    path.write_text(unit(settings, settings.overrides, system=os.geteuid() == 0))
    path.chmod(0o600)  # variables that the caller has set may be passwords
    if os.geteuid() == 0:
        return shlex.join(["systemctl", "enable", "--now", str(path)])
    return shlex.join(["systemctl", "--user", "enable", "--now", str(path)]) + " && loginctl enable-linger"


def unit(settings: StackSettings, overrides: Mapping[str, str], *, system: bool) -> str:
    """Return the unit's text; `overrides` are settings that take precedence over `.env`."""
    values = {"RUN_DIR": str(settings.run_dir), **overrides}
    lines = [f"Environment={quoted(f'{name}={value}')}\n" for name, value in sorted(values.items())]
    return UNIT.format(
        description=_literal(str(ROOT)),
        folder=_literal(str(ROOT)),
        environment="".join(lines),
        python=quoted(sys.executable, command=True),
        stop_seconds=int(settings.stop_grace_period) + STOP_SECONDS,
        target="multi-user.target" if system else "default.target",
    )


def quoted(text: str, *, command: bool = False) -> str:
    """Quote one word of a list; in a command `$` is escaped, too."""
    escaped = _literal(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped.replace("$", "$$") if command else escaped}"'


def _literal(text: str) -> str:
    """Escape `%`, which begins a specifier everywhere."""
    return text.replace("%", "%%")


def _name(folder: Path) -> str:
    """Return the unit's name: letters, digits, `-`, `_` and `.` only, beginning with slipway."""
    name = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "-" for sign in folder.name)
    return name if name.startswith("slipway") else f"slipway-{name}"

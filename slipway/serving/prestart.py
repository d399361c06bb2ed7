"""PRESTART: a command that has to succeed before the first worker starts, and before a reload.

`python -m slipway.serving.prestart` runs it alone, once for several servers with PRESTART=none.
"""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from slipway.environment import SettingError
from slipway.serving.settings import ServerSettings


def command(words: Sequence[str]) -> list[str]:
    """Return the command to run; `python` means the interpreter that runs gunicorn."""
    return [sys.executable, *words[1:]] if words and words[0] == "python" else [*words]


def check_program(words: Sequence[str], path: str | None = None) -> None:
    """Raise SettingError if the program is not there or can't be executed."""
    found = command(words)
    if found and shutil.which(found[0], path=path) is None:
        why = "a file that can be executed" if Path(found[0]).exists() else "a program on PATH"
        raise SettingError("PRESTART", shlex.join(words), f"{found[0]} is not {why}")


def run(words: Sequence[str]) -> None:
    """Run the command; exit with one line if it fails."""
    if not words:
        return
    check_program(words)
    said = f"PRESTART={' '.join(words)!r}"
    try:
        code = subprocess.run(command(words), stdin=subprocess.DEVNULL).returncode
    except (OSError, ValueError) as error:
        sys.exit(f"{said} can't be run ({error}); nothing was started")
    if code:
        sys.exit(f"{said} failed; nothing was started")


def main() -> None:
    """Replace this process by the command, so that output and exit code are the command's own."""
    words = ServerSettings.from_environment().prestart
    if words:
        check_program(words)
        found = command(words)
        os.execvp(found[0], found)


if __name__ == "__main__":
    main()

"""The folder for everything that is written outside containers (RUN_DIR)."""

import os
import stat
from pathlib import Path

from slipway.environment import SettingError
from slipway.ops.supervised import LONGEST_SUFFIX
from slipway.serving.settings import MAX_SOCKET_PATH


def make_private(run_dir: Path) -> None:
    """Create the folder, or close it to other users: it holds logs, data and passwords.

    A folder of another user, or a shared one such as /tmp, keeps its mode.
    """
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = run_dir.stat()
    if status.st_uid == os.geteuid() and not status.st_mode & stat.S_ISVTX:
        run_dir.chmod(0o700)


def check_folder(run_dir: Path) -> None:
    """Raise SettingError for a folder in which the stack can't run, even with its path quoted."""
    most = MAX_SOCKET_PATH - LONGEST_SUFFIX
    if len(os.fsencode(run_dir)) > most:
        raise SettingError("RUN_DIR", str(run_dir), f"a path of at most {most} bytes, since sockets lie in it")
    if not str(run_dir).isprintable() or os.pathsep in str(run_dir):
        raise SettingError("RUN_DIR", str(run_dir), "a path without a colon or characters that can't be printed")

"""Virtual environments from lock files; the link `.run/venv` points to the one in use."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from slipway.ops import packages
from slipway.ops.console import Failure, step
from slipway.ops.folder import make_private
from slipway.ops.settings import ROOT

KEPT = 2  # environments: the current and the previous one, from which a server may still run


def environment(run_dir: Path, requirements: str, *, beside: bool = False) -> Path:
    """Install the packages of a lock file into an environment if they are not there; return its `bin`.

    With `beside`, a changed lock file gets a new environment, and the one in use stays unchanged until
    `put_into_service` switches to the new one.
    """
    lock = ROOT / requirements
    venv = _in_use(run_dir)
    if is_current(run_dir, requirements):
        return venv / "bin"
    make_private(run_dir)
    if not os.path.lexists(run_dir / "venv"):
        (run_dir / "venv").symlink_to(Path("venvs", "first"))
        venv = _in_use(run_dir)
    if beside and _stamp(venv, lock).exists():
        venv = run_dir / "venvs" / digest(lock)[:12]
    if not _is_whole(venv):
        with step(f"Python {sys.version_info.major}.{sys.version_info.minor} environment in {_shown(venv)}"):
            _create(venv)
    with step(f"packages of {requirements}"):
        options = ["-q", "--disable-pip-version-check", "--require-hashes"]
        command = [str(venv / "bin" / "python"), "-m", "pip", "install", *options, "-r", str(lock)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"pip could not install {requirements}:\n{done.stderr[-2_000:]}")
    _stamp(venv, lock).write_text(digest(lock))
    return venv / "bin"


def is_current(run_dir: Path, requirements: str) -> bool:
    """Whether the environment in use has the packages of a lock file."""
    lock = ROOT / requirements
    stamp = _stamp(_in_use(run_dir), lock)
    return stamp.exists() and stamp.read_text() == digest(lock)


def put_into_service(run_dir: Path, binaries: Path, commands: Collection[str] = ()) -> None:
    """Point `.run/venv` to the environment with this `bin`, atomically, and remove all but the newest two.

    An environment whose path is in one of the running `commands` stays: supervisor's own, for example.
    """
    venv, link, folder = binaries.parent, run_dir / "venv", run_dir / "venvs"
    if _in_use(run_dir) == venv:
        return
    if not link.is_symlink():
        link.rename(folder / "first")
    new = folder / "new"
    new.unlink(missing_ok=True)
    new.symlink_to(os.path.relpath(venv, run_dir))
    new.replace(link)
    newest = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for old in newest[:-KEPT]:
        if old != venv and not any(f"{old}/" in command for command in commands):
            shutil.rmtree(old, ignore_errors=True)


def _in_use(run_dir: Path) -> Path:
    """Return the folder, not the link, so that its running programs keep their own packages."""
    return (run_dir / "venv").resolve()


def _stamp(venv: Path, lock: Path) -> Path:
    return venv / f".{lock.stem}"


def _is_whole(venv: Path) -> bool:
    """Whether it ever had packages installed; an environment whose creation was interrupted is made anew."""
    stamps = (_stamp(venv, lock) for lock in (ROOT / "requirements").glob("*.txt"))
    return (venv / "bin" / "python").exists() and any(stamp.exists() for stamp in stamps)


def digest(lock: Path) -> str:
    """Return a hash of the lock file and the version of Python, which identifies an environment."""
    return hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()


def _create(venv: Path) -> None:
    """Create the environment, or recreate an incomplete one; raise Failure if the folder has other files."""
    if not (venv / "pyvenv.cfg").exists() and any(path.is_file() for path in venv.rglob("*")):
        raise Failure(f"{_shown(venv)} is no virtual environment: move it away, or the link .run/venv that leads there")
    venv.parent.mkdir(parents=True, exist_ok=True)
    create = [sys.executable, "-m", "venv", "--clear", str(venv)]
    if subprocess.run(create, capture_output=True).returncode == 0:
        return
    # Debian has ensurepip, which venv needs, in a separate package.
    packages.install({"python3-venv": None})
    done = subprocess.run(create, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"python3 -m venv failed:\n{done.stdout}{done.stderr}")


def _shown(path: Path) -> str:
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)

"""The virtual environments of locked requirements: `.run/venv` leads to the one in use."""

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

KEPT = 2  # environments: the one in use and the one before, from which a server may still run


def environment(run_dir: Path, requirements: str, *, beside: bool = False) -> Path:
    """An environment that holds exactly what a lock file names; return its `bin`.

    With `beside`, a lock file that has changed gets an environment of its own, and the one in use stays as it is;
    `put_into_service` turns to it.
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
    """Whether the environment in use holds what a lock file names."""
    lock = ROOT / requirements
    stamp = _stamp(_in_use(run_dir), lock)
    return stamp.exists() and stamp.read_text() == digest(lock)


def put_into_service(run_dir: Path, binaries: Path, commands: Collection[str] = ()) -> None:
    """Turn `.run/venv` to the environment with this `bin`, in one step, and remove those before the last one.

    One that a command that runs names stays: supervisor's own, for example.
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
    """The folder itself, not the link, so that what runs from it goes on with its own packages."""
    return (run_dir / "venv").resolve()


def _stamp(venv: Path, lock: Path) -> Path:
    return venv / f".{lock.stem}"


def _is_whole(venv: Path) -> bool:
    """Whether packages were ever installed in it; one whose making was interrupted is made anew."""
    stamps = (_stamp(venv, lock) for lock in (ROOT / "requirements").glob("*.txt"))
    return (venv / "bin" / "python").exists() and any(stamp.exists() for stamp in stamps)


def digest(lock: Path) -> str:
    """What tells environments apart: the lock file's content and the version of Python."""
    return hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()


def _create(venv: Path) -> None:
    """Make it anew, in the place of one whose making was interrupted; anything else that is there stays."""
    if not (venv / "pyvenv.cfg").exists() and any(path.is_file() for path in venv.rglob("*")):
        raise Failure(f"{_shown(venv)} is no virtual environment: move it away, or the link .run/venv that leads there")
    venv.parent.mkdir(parents=True, exist_ok=True)
    create = [sys.executable, "-m", "venv", "--clear", str(venv)]
    if subprocess.run(create, capture_output=True).returncode == 0:
        return
    # Debian keeps ensurepip, without which there is no environment, in a package of its own.
    packages.install({"python3-venv": None})
    done = subprocess.run(create, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"python3 -m venv failed:\n{done.stdout}{done.stderr}")


def _shown(path: Path) -> str:
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)

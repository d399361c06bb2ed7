"""Gets what is missing: the virtual environment from locked requirements, programs from the system's packages."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from slipway.ops.report import Failure, say, step
from slipway.ops.settings import ROOT

# Services start themselves when Debian installs them; in runlevel 1 invoke-rc.d leaves them alone.
MANAGERS = {
    "apt-get": (
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"],
        {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
    ),
    "dnf": (["dnf", "install", "-y", "-q"], {}),
    "apk": (["apk", "add", "-q"], {}),
}


def environment(run_dir: Path, requirements: str) -> Path:
    """A virtual environment that holds exactly what a lock file names; return its `bin`."""
    lock = ROOT / requirements
    venv = run_dir / "venv"
    stamp = venv / f".{lock.stem}"
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return venv / "bin"
    if not (venv / "bin" / "python").exists():
        with step(f"Python {sys.version_info.major}.{sys.version_info.minor} environment in {_shown(venv)}"):
            _create(venv)
    with step(f"packages of {requirements}"):
        command = [
            venv / "bin" / "python",
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--require-hashes",
            "-r",
            lock,
        ]
        done = subprocess.run([*map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise Failure(f"pip could not install {requirements}:\n{done.stderr[-2_000:]}")
    stamp.write_text(digest)
    return venv / "bin"


def _create(venv: Path) -> None:
    venv.parent.mkdir(parents=True, exist_ok=True)
    create = [sys.executable, "-m", "venv", "--clear", str(venv)]
    if subprocess.run(create, capture_output=True).returncode == 0:
        return
    # Debian keeps ensurepip, without which there is no environment, in a package of its own.
    system_packages({"python3-venv": None})
    done = subprocess.run(create, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"python3 -m venv failed:\n{done.stdout}{done.stderr}")


def system_packages(packages: dict[str, str | None]) -> None:
    """Install packages whose program is not there, as root; else say which line to type."""
    missing = [name for name, program in packages.items() if program is None or not find(program)]
    if not missing:
        return
    manager = next((name for name in MANAGERS if shutil.which(name)), None)
    if manager is None:
        raise Failure(f"please install {' and '.join(missing)} with your system's package manager, then try again")
    command, variables = MANAGERS[manager]
    if os.geteuid() != 0:
        raise Failure(f"{' and '.join(missing)} is missing; type: sudo {manager} install {' '.join(missing)}")
    say(f"  {' and '.join(missing)} is missing and is installed with {manager}")
    with step(f"{manager} install {' '.join(missing)}"):
        env = {**os.environ, **variables}
        done = subprocess.run([*command, *missing], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode and manager == "apt-get":  # a new machine has no list of packages yet
            subprocess.run(["apt-get", "update", "-qq"], env=env, stdin=subprocess.DEVNULL, capture_output=True)
            done = subprocess.run(
                [*command, *missing], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
            )
        if done.returncode:
            raise Failure(f"{manager} could not install {' '.join(missing)}:\n{done.stderr[-2_000:]}")


def find(program: str) -> str | None:
    """The path of a program, or of a folder of them; servers lie in sbin, which a user's PATH may lack."""
    if Path(program).is_absolute():  # PostgreSQL's: Debian keeps each version's in a folder of its own
        return program if Path(program).exists() else None
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")


def _shown(path: Path) -> str:
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)

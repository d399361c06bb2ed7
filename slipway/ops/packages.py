"""Installs programs from the system's packages where it can, and says which line to type where it can't."""

import os
import shutil
import subprocess
from pathlib import Path

from slipway.ops.console import Failure, say, step

# Services start themselves when Debian installs them; in runlevel 1 invoke-rc.d leaves them alone.
MANAGERS = {
    "apt-get": (
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"],
        {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
    ),
    "dnf": (["dnf", "install", "-y", "-q"], {}),
    "apk": (["apk", "add", "-q"], {}),
}


HEADERS_MORE = "libnginx-mod-http-headers-more-filter"  # Debian's; without it answers say `Server: nginx`


def nginx() -> dict[str, str | None]:
    """Ask for nginx; where Debian's has to be installed, with the module that leaves `Server` out of answers."""
    missing = not find("nginx") and shutil.which("apt-get")
    return {"nginx": "nginx", **({HEADERS_MORE: None} if missing else {})}


def install(packages: dict[str, str | None]) -> None:
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

"""Installs missing programs from the system's packages, or says which command to type."""

import os
import shutil
import subprocess
from pathlib import Path

from slipway.ops.console import Failure, say, step

# Debian starts a service when it is installed; in runlevel 1 invoke-rc.d does not.
MANAGERS = {
    "apt-get": (
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"],
        {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"},
    ),
    "dnf": (["dnf", "install", "-y", "-q"], {}),
    "apk": (["apk", "add", "-q"], {}),
}


HEADERS_MORE = "libnginx-mod-http-headers-more-filter"  # Debian's; without it responses have `Server: nginx`


def nginx() -> dict[str, str | None]:
    """Return the package of nginx and, if apt-get has to install it, that of the module that removes `Server`."""
    missing = not find("nginx") and shutil.which("apt-get")
    return {"nginx": "nginx", **({HEADERS_MORE: None} if missing else {})}


def install(packages: dict[str, str | None]) -> None:
    """Install the packages whose program is missing; raise Failure with the command to type if not root."""
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
        if done.returncode and manager == "apt-get":  # a new machine has no package lists yet
            subprocess.run(["apt-get", "update", "-qq"], env=env, stdin=subprocess.DEVNULL, capture_output=True)
            done = subprocess.run(
                [*command, *missing], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True
            )
        if done.returncode:
            raise Failure(f"{manager} could not install {' '.join(missing)}:\n{done.stderr[-2_000:]}")


def find(program: str) -> str | None:
    """Return the path of a program, or None; also looks in sbin, where servers are and which a user's PATH may lack."""
    if Path(program).is_absolute():  # PostgreSQL's folder: Debian has a subfolder for each version
        return program if Path(program).exists() else None
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/local/sbin")

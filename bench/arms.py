"""The servers that are compared. All get the same nginx, the same number of workers and the same database."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ASGI_APP = "app.main:application"
WSGI_APP = "app.wsgi:application"
COUNTED = str(Path(__file__).with_name("gunicorn_counted.py"))


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to serve the app. `command` may hold {socket} and {workers}."""

    name: str
    command: Sequence[str]
    asgi: bool
    slots: bool = True  # whether gunicorn.conf.py gives each worker a socket of its own


def program(name: str) -> str:
    """A program of the environment that runs the benchmark."""
    return str(Path(sys.executable).parent / name)


ASGI = Arm("asgi", ("gunicorn", "-c", COUNTED, "-k", "uvicorn.workers.UvicornWorker", ASGI_APP), True)
SYNC = Arm("wsgi-sync", ("gunicorn", "-c", COUNTED, "-k", "sync", WSGI_APP), False)
GTHREAD = Arm("wsgi-gthread", ("gunicorn", "-c", COUNTED, "-k", "gthread", "--threads", "8", WSGI_APP), False)

# gunicorn's own worker gets slots too; the others share one socket, as they are meant to.
MORE = (
    Arm(
        "uvicorn", ("uvicorn", "--uds", "{socket}", "--workers", "{workers}", "--no-access-log", ASGI_APP), True, False
    ),
    Arm("gunicorn-asgi", ("gunicorn", "-c", COUNTED, "-k", "asgi", ASGI_APP), True),
    Arm("hypercorn", ("hypercorn", "-k", "uvloop", "-b", "unix:{socket}", "-w", "{workers}", ASGI_APP), True, False),
    Arm("daphne", ("daphne", "-u", "{socket}", "-v", "0", ASGI_APP), True, False),
    Arm(
        "granian",
        ("granian", "--interface", "asgi", "--uds", "{socket}", "--workers", "{workers}", ASGI_APP),
        True,
        False,
    ),
)
BY_NAME = {arm.name: arm for arm in (ASGI, SYNC, GTHREAD, *MORE)}


def chosen(servers: str) -> list[Arm]:
    """The three arms of every run, and those that SERVERS= names; an unknown name raises ValueError."""
    names = [name.strip() for name in servers.split(",") if name.strip()]
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise ValueError(f"SERVERS={servers!r}: {unknown[0]!r} is unknown; there are {', '.join(BY_NAME)}")
    return [
        ASGI,
        SYNC,
        GTHREAD,
        *(BY_NAME[name] for name in names if name not in ("asgi", "wsgi-sync", "wsgi-gthread")),
    ]

"""The servers that are compared. All get the same nginx, the same number of workers and the same database."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ASGI_APP = "app.main:application"
WSGI_APP = "app.wsgi:application"
# The same app, which also leaves its count of requests where gunicorn's hook can't.
COUNTED_APP = "bench.run.counted_app:application"
COUNTED = str(Path(__file__).with_name("gunicorn_counted.py"))
BACKLOG = "2048"  # gunicorn's default; with hypercorn's 100 nginx gets EAGAIN for each burst, and answers 502


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to serve the app. `command` may hold {socket} and {workers}."""

    name: str
    command: Sequence[str]
    asgi: bool = True
    slots: bool = False  # whether gunicorn.conf.py gives each worker a socket of its own
    one_process: bool = False  # it has no workers
    remark: str = ""  # what a reader of its figures must know

    def remarks(self) -> str:
        """The remark, and what follows from the socket that its workers share."""
        shared = "" if self.slots or self.one_process else "its workers share a socket: who answered, nginx can't tell"
        return "; ".join(filter(None, [shared, self.remark]))


def program(name: str) -> str:
    """A program of the environment that runs the benchmark."""
    return str(Path(sys.executable).parent / name)


def _gunicorn(name: str, worker: str, app: str, *more: str, asgi: bool = False) -> Arm:
    return Arm(name, ("gunicorn", "-c", COUNTED, "-k", worker, *more, app), asgi, slots=True)


ASGI = _gunicorn("asgi", "uvicorn.workers.UvicornWorker", ASGI_APP, asgi=True)
SYNC = _gunicorn("wsgi-sync", "sync", WSGI_APP)
GTHREAD = _gunicorn("wsgi-gthread", "gthread", WSGI_APP, "--threads", "8")
ALWAYS = (ASGI, SYNC, GTHREAD)

# gunicorn's own worker gets slots too; the others share one socket, as they are meant to.
MORE = (
    Arm(
        "uvicorn",
        (
            *("uvicorn", "--uds", "{socket}", "--workers", "{workers}", "--backlog", BACKLOG),
            *("--no-access-log", "--log-level", "warning", COUNTED_APP),
        ),
        remark="compresses websocket messages for a client that offers it, which costs memory",
    ),
    _gunicorn("gunicorn-asgi", "asgi", ASGI_APP, asgi=True),
    Arm(
        "hypercorn",
        ("hypercorn", "-k", "uvloop", "-b", "unix:{socket}", "-w", "{workers}", "--backlog", BACKLOG, COUNTED_APP),
        remark="compresses websocket messages for a client that offers it, which costs memory",
    ),
    Arm(
        "daphne",
        ("daphne", "-e", f"unix:{{socket}}:backlog={BACKLOG}", "-v", "0", "bench.run.daphne_app:application"),
        one_process=True,
        remark="one process, however many workers the others have; without lifespan, so that an adapter starts the app",
    ),
    Arm(
        "granian",
        (
            *("granian", "--interface", "asgi", "--uds", "{socket}", "--workers", "{workers}"),
            *("--backlog", BACKLOG, "--log-level", "warning", COUNTED_APP),
        ),
    ),
)
BY_NAME = {arm.name: arm for arm in (*ALWAYS, *MORE)}


def chosen(servers: str) -> list[Arm]:
    """The three arms of every run, and those that SERVERS= names; an unknown name raises ValueError."""
    names = [name.strip() for name in servers.split(",") if name.strip()]
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise ValueError(f"SERVERS={servers!r}: {unknown[0]!r} is unknown; there are {', '.join(BY_NAME)}")
    return [*ALWAYS, *(arm for arm in MORE if arm.name in names)]

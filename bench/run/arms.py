"""The compared servers (arms). All have the same nginx, number of workers and database."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.project import served

PROJECT = served()
ASGI_APP = PROJECT.app
WSGI_APP = PROJECT.baseline
# The same app; it writes its count of requests by itself, for servers without a hook at a worker's end.
COUNTED_APP = "bench.run.counted_app:application"
COUNTED = str(Path(__file__).with_name("gunicorn_counted.py"))
BACKLOG = "2048"  # gunicorn's default; with hypercorn's default bursts give EAGAIN, which nginx answers with 502


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to serve the app. `command` may hold {socket} and {workers}."""

    name: str
    command: Sequence[str]
    asgi: bool = True
    slots: bool = False  # whether each worker has its own socket, from gunicorn.conf.py
    one_process: bool = False  # no worker processes
    remark: str = ""  # shown with its figures

    def remarks(self) -> str:
        """The remark, and a note if the workers share a socket."""
        shared = "" if self.slots or self.one_process else "its workers share a socket: nginx can't tell them apart"
        return "; ".join(filter(None, [shared, self.remark]))


def program(name: str) -> str:
    """The path of a program in the environment of the benchmark."""
    return str(Path(sys.executable).parent / name)


def _gunicorn(name: str, worker: str, app: str, *more: str, asgi: bool = False) -> Arm:
    return Arm(name, ("gunicorn", "-c", COUNTED, "-k", worker, *more, app), asgi, slots=True)


ASGI = _gunicorn("asgi", "uvicorn.workers.UvicornWorker", ASGI_APP, asgi=True)
SYNC = _gunicorn("wsgi-sync", "sync", WSGI_APP)
GTHREAD = _gunicorn("wsgi-gthread", "gthread", WSGI_APP, "--threads", "8")
ALWAYS = (ASGI, SYNC, GTHREAD)

# gunicorn's own worker has slots too; the workers of the other servers share one socket, their usual setup.
MORE = (
    Arm(
        "uvicorn",
        (
            *("uvicorn", "--uds", "{socket}", "--workers", "{workers}", "--backlog", BACKLOG),
            *("--no-access-log", "--log-level", "warning", COUNTED_APP),
        ),
        remark="accepts permessage-deflate for websockets, which costs memory",
    ),
    _gunicorn("gunicorn-asgi", "asgi", ASGI_APP, asgi=True),
    Arm(
        "hypercorn",
        ("hypercorn", "-k", "uvloop", "-b", "unix:{socket}", "-w", "{workers}", "--backlog", BACKLOG, COUNTED_APP),
        remark="accepts permessage-deflate for websockets, which costs memory",
    ),
    Arm(
        "daphne",
        ("daphne", "-e", f"unix:{{socket}}:backlog={BACKLOG}", "-v", "0", "bench.run.daphne_app:application"),
        one_process=True,
        remark="one process, regardless of the number of workers; no lifespan: an adapter starts the app",
    ),
    Arm(
        "granian",
        (
            *("granian", "--interface", "asgi", "--uds", "{socket}", "--workers", "{workers}"),
            *("--backlog", BACKLOG, "--log-level", "warning", COUNTED_APP),
        ),
    ),
)
ASGI_ARMS = frozenset(arm.name for arm in (*ALWAYS, *MORE) if arm.asgi)
BY_NAME = {arm.name: arm for arm in (*ALWAYS, *MORE)}


def chosen(servers: str) -> list[Arm]:
    """The three arms of every run and those named by SERVERS=; an unknown name raises ValueError.

    An app without a WSGI twin is measured by itself, to be compared with itself after a change.
    """
    names = [name.strip() for name in servers.split(",") if name.strip()]
    if not PROJECT.baseline:
        if names:
            raise ValueError(f"SERVERS={servers!r}: other servers are compared on an app with a WSGI twin (`baseline`)")
        return [ASGI]
    unknown = [name for name in names if name not in BY_NAME]
    if unknown:
        raise ValueError(f"SERVERS={servers!r}: {unknown[0]!r} is unknown; there are {', '.join(BY_NAME)}")
    return [*ALWAYS, *(arm for arm in MORE if arm.name in names)]

"""gunicorn's hooks, in the order in which they are called."""

import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS

from slipway.logs import capture, writer
from slipway.logs.lines import text
from slipway.project import served
from slipway.serving import prestart
from slipway.serving.base import ignore
from slipway.serving.forking import STOP_SIGNALS
from slipway.serving.options import with_options
from slipway.serving.room import take_descriptors
from slipway.serving.settings import ServerSettings


def tmp_dir() -> str | None:
    """A folder in memory for the heartbeat files, or the system's default where there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Refusals(logging.Filter):
    """uvicorn calls it an error when an app refuses a handshake with a 403 or 404, which any client can cause."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "ASGI callable returned without completing handshake."


def log_config(settings: ServerSettings) -> dict[str, Any]:
    """One line for each record of gunicorn, uvicorn and the app, on stdout: JSON, or for people (LOG_FORMAT)."""
    level = settings.log_level.upper()
    return {
        "root": {"level": level, "handlers": ["console"]},
        "filters": {"refusals": {"()": Refusals}},
        "loggers": {
            # uvicorn's worker gives its logger gunicorn's list of handlers, the same object. Configured anew by a
            # reload, each must name its own, or the one that names none empties the list of both.
            "gunicorn.error": {"level": level, "handlers": ["console"], "propagate": False},
            "uvicorn.error": {"level": level, "handlers": ["console"], "propagate": False},
        },
        "handlers": {
            "console": {
                "class": "slipway.logs.handler.Handler",
                "form": settings.log_format,
                "formatter": "json",
                "filters": ["refusals"],
            }
        },
        "formatters": {
            "json": {
                "()": "slipway.logs.handler.Formatter",
                "json_serializer": text,
                "fmt": "%(levelname)s %(name)s %(process)d %(message)s",
                "rename_fields": {"levelname": "level", "name": "logger", "process": "pid"},
                "timestamp": "time",
                "reserved_attrs": [*RESERVED_ATTRS, "color_message"],  # uvicorn's, with escape codes
            }
        },
    }


def on_starting(arbiter: Any) -> None:
    """Before anything is bound: refuse a second start, and run what must run once."""
    capture.take_over()
    take_descriptors()
    _take_app(arbiter.app.app_uri)
    arbiter.adopt(with_options(ServerSettings.from_environment(), arbiter.cfg))
    if not arbiter.master_pid:  # after SIGUSR2 the old arbiter has lock and addresses, and the new one shares them
        arbiter.service.status.lock()
        _refuse_addresses_in_use(arbiter.cfg.address)
    os.environ["WORKER_COUNT"] = str(arbiter.num_workers)  # --workers beats the settings
    prestart.run(arbiter.settings.prestart)
    capture.end_lines()
    arbiter.load_libraries()
    os.environ["PRESTARTED"] = "1"  # done: the workers need not look
    arbiter.service.metrics.start(arbiter.service.clock.now, arbiter.service.figures)
    arbiter.service.status.tell(table=arbiter.table.path)


def _take_app(named: str) -> None:
    """What the command line names is served: nothing of the project's own app holds for another."""
    app = named if ":" in named else f"{named}:application"  # gunicorn's default
    if app != served().app:
        os.environ["APP"] = app


def _refuse_addresses_in_use(addresses: list[Any]) -> None:
    """gunicorn removes a socket file before it binds, without asking for a server that listens there."""
    for address in addresses:
        if isinstance(address, str):
            with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
                probe.connect(address)
                sys.exit(f"{address} belongs to a server that runs; stop it, or bind another path")


def when_ready(arbiter: Any) -> None:
    """Say how many workers there are, and why; and what another worker class lacks."""
    settings = arbiter.settings
    slots = "one listener each" if settings.has_slots else "one listener for all"
    arbiter.log.info("%d workers (%s), %s", settings.workers, settings.workers_reason, slots)
    if arbiter.ready_path() is None:
        arbiter.log.warning(
            "-k %s: gunicorn's own worker is reloaded and respawned; it does not drain, lend slots or ask its app "
            "whether it is ready",
            arbiter.cfg.worker_class_str,
        )


def pre_fork(arbiter: Any, worker: Any) -> None:
    """Give the worker what it needs of the arbiter."""
    arbiter.forking.prepare(worker)


def post_fork(arbiter: Any, worker: Any) -> None:
    """In the worker: take leave of what is the arbiter's."""
    for number in STOP_SIGNALS:  # the arbiter's handlers came with the fork; gunicorn sets the worker's own a bit later
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, ignore)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    service = arbiter.service
    service.status.unlock()
    service.metrics.in_worker()
    for sibling in service.roster:
        sibling.handover.report.close()
        sibling.handover.mailbox.close()
        if sibling.handover.stacks is not None:
            sibling.handover.stacks.close()
    # as signals and a reload have left it
    os.environ["WORKER_COUNT"] = str(max(arbiter.num_workers, service.reloads.planned_workers))
    if worker.handover.slot is not None:
        os.environ["WORKER_SLOT"] = str(worker.handover.slot)


def pre_exec(arbiter: Any) -> None:
    """SIGUSR2: another arbiter is about to begin in this process."""
    capture.give_back()
    writer.flush()


def post_worker_init(worker: Any) -> None:
    """SIGHUP to all processes at once is a reload, which the arbiter does; gunicorn's own classes would die of it."""
    signal.signal(signal.SIGHUP, ignore)


def worker_int(worker: Any) -> None:
    """Called by the thread of --reload when a file has changed, before it ends: have the arbiter reload."""
    if worker.cfg.reload and hasattr(worker, "takes_handover"):
        os.kill(worker.ppid, signal.SIGHUP)
        reloader = worker.reloader
        extra = {"extra_files": worker.cfg.reload_extra_files, "callback": reloader._callback}
        worker.reloader = type(reloader)(**extra)  # for the next change: this reload may be refused
        worker.reloader.start()

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
    """Return a folder in memory for the heartbeat files; None, gunicorn's default, where there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Refusals(logging.Filter):
    """Drops uvicorn's error about a handshake that the app refused with a 403 or 404: any client can cause it."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "ASGI callable returned without completing handshake."


def log_config(settings: ServerSettings) -> dict[str, Any]:
    """Return a configuration that writes each record as one line to stdout: JSON, or for people (LOG_FORMAT)."""
    level = settings.log_level.upper()
    return {
        "root": {"level": level, "handlers": ["console"]},
        "filters": {"refusals": {"()": Refusals}},
        "loggers": {
            # uvicorn's stock worker shares one list of handlers between both loggers. A reload configures them again:
            # each must name its own handlers, or configuring the one without any would empty the shared list.
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
    """Before anything is bound: refuse a second start, and run PRESTART and other one-time steps."""
    capture.take_over()
    take_descriptors()
    _take_app(arbiter.app.app_uri)
    arbiter.adopt(with_options(ServerSettings.from_environment(), arbiter.cfg))
    if not arbiter.master_pid:  # after SIGUSR2 the old arbiter has lock and addresses, and the new one shares them
        arbiter.service.status.lock()
        _refuse_addresses_in_use(arbiter.cfg.address)
    os.environ["WORKER_COUNT"] = str(arbiter.num_workers)  # --workers takes precedence over the settings
    prestart.run(arbiter.settings.prestart)
    capture.end_lines()
    arbiter.load_libraries()
    os.environ["PRESTARTED"] = "1"  # PRESTART is done: the workers need not check
    arbiter.service.metrics.start(arbiter.service.clock.now, arbiter.service.figures)
    arbiter.service.status.tell(table=arbiter.table.path)


def _take_app(named: str) -> None:
    """Set APP to the command line's app: the project's settings hold for the project's own app only."""
    app = named if ":" in named else f"{named}:application"  # gunicorn's default
    if app != served().app:
        os.environ["APP"] = app


def _refuse_addresses_in_use(addresses: list[Any]) -> None:
    """Exit if a server listens on a socket file, which gunicorn would remove before it binds."""
    for address in addresses:
        if isinstance(address, str):
            with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
                probe.connect(address)
                sys.exit(f"{address} belongs to a server that runs; stop it, or bind another path")


def when_ready(arbiter: Any) -> None:
    """Log the number of workers and its reason, and a warning about what gunicorn's own worker classes lack."""
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
    """Give the worker its handover."""
    arbiter.forking.prepare(worker)


def post_fork(arbiter: Any, worker: Any) -> None:
    """In the worker: reset the arbiter's signal handlers, and close its files and those of siblings."""
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
    # the number after signals and reloads
    os.environ["WORKER_COUNT"] = str(max(arbiter.num_workers, service.reloads.planned_workers))
    if worker.handover.slot is not None:
        os.environ["WORKER_SLOT"] = str(worker.handover.slot)


def pre_exec(arbiter: Any) -> None:
    """On SIGUSR2, in the forked process that becomes another arbiter: give back captured descriptors."""
    capture.give_back()
    writer.flush()


def post_worker_init(worker: Any) -> None:
    """Ignore SIGHUP: sent to all processes it means a reload by the arbiter, but would end gunicorn's own classes."""
    signal.signal(signal.SIGHUP, ignore)


def worker_int(worker: Any) -> None:
    """Have the arbiter reload; the thread of --reload calls this when a file has changed, before it ends."""
    if worker.cfg.reload and hasattr(worker, "takes_handover"):
        os.kill(worker.ppid, signal.SIGHUP)
        reloader = worker.reloader
        extra = {"extra_files": worker.cfg.reload_extra_files, "callback": reloader._callback}
        worker.reloader = type(reloader)(**extra)  # for the next change: this reload may be refused
        worker.reloader.start()

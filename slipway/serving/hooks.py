"""gunicorn's hooks, in the order in which they are called."""

import logging
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS

from slipway.logs import capture, stacks, writer
from slipway.logs.lines import text
from slipway.serving.arbiter import STOP_SIGNALS
from slipway.serving.config import Settings
from slipway.serving.reload import prestart_command


def tmp_dir() -> str | None:
    """A folder in memory for the heartbeat files, or the system's default where there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Refusals(logging.Filter):
    """uvicorn calls it an error when an app refuses a handshake with a 403 or 404, which any client can cause."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.msg != "ASGI callable returned without completing handshake."


def log_config(settings: Settings) -> dict[str, Any]:
    """One JSON line for each record of gunicorn, uvicorn and the app, on stdout."""
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
            "console": {"class": "slipway.logs.handler.Handler", "formatter": "json", "filters": ["refusals"]}
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
    arbiter.adopt(arbiter.settings.with_options(arbiter.cfg))
    settings = arbiter.settings
    if not arbiter.master_pid:  # after SIGUSR2 the old arbiter has lock and addresses, and the new one shares them
        arbiter.status.lock()
        _refuse_taken(arbiter.cfg.address)
    os.environ["WORKER_COUNT"] = str(arbiter.num_workers)  # --workers beats the settings
    command = prestart_command(settings)
    if command and subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        sys.exit(f"PRESTART={' '.join(settings.prestart)!r} failed; nothing was started")
    os.environ["MIGRATE"] = "0"  # done: the workers need not look


def _refuse_taken(addresses: list[Any]) -> None:
    """gunicorn removes a socket file before it binds, whoever may listen there."""
    for address in addresses:
        if isinstance(address, str):
            with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
                probe.connect(address)
                sys.exit(f"{address} belongs to a server that runs; stop it, or bind another path")


def when_ready(arbiter: Any) -> None:
    settings = arbiter.settings
    slots = "one listener each" if settings.has_slots else "one listener for all"
    arbiter.log.info("%d workers (%s), %s", settings.workers, settings.workers_reason, slots)


def pre_fork(arbiter: Any, worker: Any) -> None:
    arbiter.prepare(worker)
    worker.stacks = stacks.opened(arbiter.cfg.worker_tmp_dir)


def post_fork(arbiter: Any, worker: Any) -> None:
    for number in STOP_SIGNALS:  # the arbiter's handlers came with the fork; gunicorn sets the worker's own a bit later
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    arbiter.status.unlock()
    for sibling in arbiter.WORKERS.values():
        sibling.note.close()
        if sibling.stacks is not None:
            sibling.stacks.close()
    os.environ["WORKER_COUNT"] = str(arbiter.num_workers)  # as signals have left it
    if worker.slot is not None:
        os.environ["WORKER_SLOT"] = str(worker.slot)


def child_exit(arbiter: Any, worker: Any) -> None:
    stacks.report(worker.stacks, worker.pid)
    arbiter.buried(worker)


def pre_exec(arbiter: Any) -> None:
    """SIGUSR2: another arbiter is about to begin in this process."""
    capture.give_back()
    writer.flush()

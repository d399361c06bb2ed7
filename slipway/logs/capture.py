"""Turns output that comes from no logger into records: print, warnings, uncaught exceptions."""

import atexit
import io
import logging
import os
import sys
import threading
from types import TracebackType
from typing import Any, TextIO

from slipway.logs.descriptors import Descriptors
from slipway.logs.streams import Stream

log = logging.getLogger("python")

_descriptors = Descriptors()


def take_over() -> None:
    """Turn every line that this process and its children write into a record. Called by the arbiter."""
    if _descriptors.captured:
        return
    _descriptors.take()
    os.register_at_fork(after_in_child=_descriptors.forget)
    sys.stdout = _text("INFO", "stdout", sys.__stdout__)
    sys.stderr = _text("ERROR", "stderr", sys.__stderr__)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    logging.captureWarnings(True)
    _move_handlers(logging.getLogger("gunicorn.access"))


def end_lines() -> None:
    """Make records of the unfinished lines of an ended program, before the next program continues them."""
    _descriptors.finish()


def give_back() -> None:
    """Restore the original descriptors, since descriptors survive an exec."""
    _descriptors.give_back()


def _text(level: str, logger: str, before: TextIO | None) -> TextIO:
    stream = Stream(level, logger, None if before is None else before.fileno())
    os.register_at_fork(after_in_child=stream.forget)
    atexit.register(stream.end_line)
    return io.TextIOWrapper(stream, "utf-8", errors="backslashreplace", write_through=True)  # type: ignore[type-var]


def _move_handlers(logger: logging.Logger) -> None:
    """Move gunicorn's handler for `--access-logfile -`, made before the take-over, to the new sys.stdout."""
    for handler in logger.handlers:
        if type(handler) is logging.StreamHandler and handler.stream is sys.__stdout__:
            handler.setStream(sys.stdout)


def _uncaught(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    log.critical("Uncaught exception", exc_info=(kind, error, traceback))


def _uncaught_in_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_type is SystemExit or arguments.exc_value is None:
        return
    name = arguments.thread.name if arguments.thread else "?"
    info = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
    log.error("Uncaught exception in thread %s", name, exc_info=info)


def _unraisable(arguments: Any) -> None:
    info = (arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
    log.error("%s %r", arguments.err_msg or "Exception ignored in", arguments.object, exc_info=info)

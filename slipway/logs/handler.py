"""The handler of all loggers: records become lines of JSON and go to the writer."""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from slipway.logs import console, lines, writer
from slipway.logs.writer import write

# Decided at import, since descriptor 1 becomes a pipe later.
_for_people = console.render_for(None if sys.__stdout__ is None else sys.__stdout__.fileno())

_context: Callable[[], Mapping[str, str]] = dict


def use_context(find: Callable[[], Mapping[str, str]]) -> None:
    """Add to each record the fields that `find` returns: the ids of the request whose task makes the record."""
    global _context
    _context = find


class Formatter(JsonFormatter):
    """Formats records; a caller's extra fields can't replace the fields that every line has."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        for name, value in _context().items():
            log_data.setdefault(name, value)
        log_data |= {"level": record.levelname, "logger": record.name, "pid": record.process}


class Handler(logging.Handler):
    """Writes records to the log. Never raises, never writes elsewhere; logs a record in part if formatting fails.

    `form` is json or console, for all lines of the process, including those that come from no logger.
    """

    def __init__(self, level: int | str = logging.NOTSET, form: str = "json") -> None:
        super().__init__(level)
        writer.render(_for_people if form == "console" else None)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record).encode() + b"\n"
        except Exception as error:  # wrong arguments, an argument whose __str__ raises
            line = _unformatted(record, error)
        write(line)


def _unformatted(record: logging.LogRecord, error: Exception) -> bytes:
    values = {"args": record.args, "format_error": f"{type(error).__name__} while the record was formatted"}
    try:
        return lines.record(record.levelname, record.name, str(record.msg), **values)
    except Exception:
        return lines.record("ERROR", "slipway.logs", "a record could not be formatted")

"""The handler of all loggers: records become lines of JSON and go to the writer."""

import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from slipway.logs import console, lines, writer
from slipway.logs.writer import write

# As it was at the start: later descriptor 1 leads into a pipe of ours.
_for_people = console.render_for(None if sys.__stdout__ is None else sys.__stdout__.fileno())

_context: Callable[[], Mapping[str, str]] = dict


def use_context(find: Callable[[], Mapping[str, str]]) -> None:
    """Have records hold what this finds where they are made: the request that is served."""
    global _context
    _context = find


class Formatter(JsonFormatter):
    """The fields that every line has can't be replaced by what a caller adds."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        for name, value in _context().items():
            log_data.setdefault(name, value)
        log_data |= {"level": record.levelname, "logger": record.name, "pid": record.process}


class Handler(logging.Handler):
    """Never raises and never writes elsewhere: what can't be formatted is logged as far as it can be.

    `form` is json or console, for all lines of the process, those that come from no logger too.
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

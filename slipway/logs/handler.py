"""The handler of all loggers: records become lines of JSON and go to the writer."""

import logging
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from slipway.logs import lines
from slipway.logs.writer import write


class Formatter(JsonFormatter):
    """The fields that every line has can't be replaced by what a caller adds."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        super().add_fields(log_data, record, message_dict)
        log_data |= {"level": record.levelname, "logger": record.name, "pid": record.process}


class Handler(logging.Handler):
    """Never raises and never writes elsewhere: what can't be formatted is logged as far as it can be."""

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

"""Renders JSON log lines for people: one line for each record, its traceback below. Standard library only."""

import json
import os
from collections.abc import Callable
from datetime import datetime
from typing import Any

BELOW = ("exc_info", "stack_info", "stacks")  # values of many lines
LEFT_OUT = {"time", "level", "logger", "message", *BELOW}
# Left out of each line: a reader who follows a log seldom needs them.
QUIET = {"pid", "slot", "span_id", "trace_id", "client", "upstream_status", "upstream_header_time", "protocol", "tries"}
COLOURS = {"DEBUG": "2", "WARNING": "33", "ERROR": "31", "CRITICAL": "31;1"}
SHOWN_NAME = 14  # characters

Render = Callable[[bytes], bytes]


def readable(line: bytes, *, colours: bool = False) -> bytes:
    """Return a log line in readable form; a line that is no JSON object stays unchanged."""
    try:
        record = json.loads(line)
        if not isinstance(record, dict):
            return line
        return _shown(record, colours).encode(errors="backslashreplace") + b"\n"
    except Exception:  # no JSON, or nested too deep; a log never fails
        return line


def in_colours(line: bytes) -> bytes:
    """Return a readable line in the colour of its level, for a terminal."""
    return readable(line, colours=True)


def render_for(descriptor: int | None) -> Render:
    """Return the function that renders lines for a descriptor: in colours on a terminal."""
    return in_colours if descriptor is not None and os.isatty(descriptor) else readable


def _shown(record: dict[str, Any], colours: bool) -> str:
    level = str(record.get("level", "INFO"))
    what = _access(record) if "method" in record and "status" in record else _plain(record)
    below = [_indented(str(record[name])) for name in BELOW if record.get(name)]
    name = str(record.get("logger", ""))[:SHOWN_NAME]
    text = "\n".join([f"{_clock(record.get('time'))} {level[:5]:5} {name:{SHOWN_NAME}} {what}", *below])
    colour = COLOURS.get(level)
    return f"\033[{colour}m{text}\033[0m" if colours and colour else text


def _clock(value: object) -> str:
    """Return the local time of day, to the millisecond."""
    try:
        moment = datetime.fromisoformat(str(value)).astimezone()
    except (ValueError, OverflowError, OSError):
        return str(value or "")
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1_000:03d}"


def _access(record: dict[str, Any]) -> str:
    seconds = record.get("duration")
    took = f"{seconds * 1_000:.1f} ms" if isinstance(seconds, (int, float)) else "-"
    where = f"slot {record['slot']}" if record.get("slot") is not None else record.get("upstream") or ""
    words = [record["method"], _one_line(record.get("path")), record["status"], took, where, record.get("request_id")]
    return " ".join(str(word) for word in words if word not in (None, ""))


def _plain(record: dict[str, Any]) -> str:
    more = [
        f"{name}={_one_line(value)}"
        for name, value in record.items()
        if name not in LEFT_OUT and name not in QUIET and value not in (None, "")
    ]
    return " ".join([str(record.get("message", "")), *more])


def _one_line(value: object) -> str:
    """Escape unprintable characters: text from a client may contain terminal commands."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if text.isprintable() else repr(text)[1:-1]


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())

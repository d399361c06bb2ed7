"""Makes one line of JSON out of anything: ASCII, valid for strict readers, and of bounded length."""

import codecs
import json
import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from json.encoder import encode_basestring_ascii  # the C function; json.dumps takes four times as long
from typing import Any

from pythonjsonlogger.json import JsonEncoder

MAX_LINE = 64 * 1024 - 1  # bytes; with the newline 64 KiB, which a pipe holds
ESSENTIAL = ("time", "level", "logger", "message", "pid")

Dumps = Callable[..., str]

# Limits for a line that is too long, tried in turn: characters of a value, and number of fields.
SHARES = ((20_000, 100), (4_000, 50), (200, 5))


def record(level: str, logger: str, message: str, **fields: object) -> bytes:
    """Return a line for text that comes from no logger, with the fields of a logger's record."""
    essential = {"level": level, "logger": logger, "pid": os.getpid(), "message": message}
    return text({**essential, **fields, "time": datetime.now(UTC)}).encode() + b"\n"


def text(fields: Mapping[str, object], **options: Any) -> str:
    """Return the fields as JSON; a `json_serializer` for python-json-logger, whose json.dumps options it accepts."""
    dumps = partial(json.dumps, **{"cls": JsonEncoder, **options, "allow_nan": False})
    line = _strict(fields, dumps)
    for most, count in SHARES:
        if len(line) <= MAX_LINE:
            break
        line = _strict(_cut_fields(fields, most, count), dumps)
    return line


def quoted(value: str, most: int = 2_000) -> str:
    """Return a text as JSON, cut to about `most` characters: for lines joined by hand, in a microsecond."""
    shown = encode_basestring_ascii(value if len(value) <= most else _cut(value, most))
    if "\\ud" in shown:
        return json.dumps(_cut(value, most), ensure_ascii=False).encode("ascii", "slipway.json").decode()
    return shown


def _strict(fields: Mapping[str, object], dumps: Dumps) -> str:
    """Return JSON for strict readers, which refuse the escape that json.dumps writes for a lone surrogate."""
    line = _tolerant(fields, dumps)
    if "\\ud" in line and len(line) <= MAX_LINE:  # a paired or lone surrogate; a longer line is cut first
        line = _tolerant(fields, partial(dumps, ensure_ascii=False)).encode("ascii", "slipway.json").decode()
    return line


def _tolerant(fields: Mapping[str, object], dumps: Dumps) -> str:
    """Return JSON, with the repr of values that JSON can't represent (a cycle, NaN, a key that is no string)."""
    try:
        return dumps(fields)
    except Exception:  # values come from the app, with methods that may raise
        return dumps({_shown(name): _plain(value, dumps) for name, value in fields.items()})


def _plain(value: object, dumps: Dumps) -> Any:
    try:
        return json.loads(dumps(value))
    except Exception:
        return _shown(value)


def _shown(value: object) -> str:
    try:
        return str(value) if isinstance(value, str) else repr(value)
    except Exception:
        return f"<{type(value).__name__} without a repr>"


def _cut_fields(fields: Mapping[str, object], most: int, count: int) -> dict[str, object]:
    essential = {name: fields[name] for name in ESSENTIAL if name in fields}
    chosen = {**essential, **dict(list(fields.items())[:count])}
    shorter = {_cut(_shown(name), 100): _cut_value(value, most) for name, value in chosen.items()}
    return {**shorter, "cut": True}


def _cut_value(value: object, most: int) -> object:
    if value is None or isinstance(value, datetime):
        return value
    shown = _shown(value)
    return value if not isinstance(value, str) and len(shown) <= most else _cut(shown, most)


def _cut(value: str, most: int) -> str:
    """Keep the begin and the end: a traceback begins with the place and ends with the exception."""
    if len(value) <= most:
        return value
    half = most // 2
    return f"{value[:half]} [... {len(value) - 2 * half} characters cut ...] {value[-half:]}"


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """Return JSON escapes, for a lone surrogate the literal text of its escape; a codec error handler."""
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_escape, error.object[error.start : error.end])), error.end


def _escape(character: str) -> str:
    code = ord(character)
    if 0xD800 <= code <= 0xDFFF:
        return f"\\\\u{code:04x}"
    if code > 0xFFFF:
        return f"\\u{0xD7C0 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"


codecs.register_error("slipway.json", _escaped)

"""JSON decoding and encoding: orjson, and the standard library for the few inputs that orjson alters or refuses.

orjson decodes an integer above 64 bits as the nearest float, refuses a lone surrogate, and accepts deeper nesting than
Python's repr can show; it encodes NaN as null, and refuses an integer above 64 bits.
"""

import json
from math import isfinite
from typing import Any, NoReturn

import orjson

DEEPEST = 200  # levels that both libraries read and write, and that Python's repr shows
LONGEST_EXACT = 18  # digits; every integer of at most 18 digits fits into 64 bits
LONG_NUMBER = b"0" * (LONGEST_EXACT + 1)
DIGITS = bytes.maketrans(b"123456789", b"0" * 9)


def decode_json(text: bytes) -> Any:
    """Decode a JSON text in UTF-8. Raises ValueError for invalid JSON, RecursionError for too deep nesting."""
    if len(text) <= LONGEST_EXACT or not (LONG_NUMBER in text.translate(DIGITS) or _may_be_deep(text)):
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            pass  # a lone surrogate, or invalid JSON, for which json.loads gives the reason
    return json.loads(text.decode(), parse_constant=_no_constant)


def encode_json(value: Any) -> bytes:
    """Encode a value as compact JSON. Raises ValueError for NaN (not in RFC 8259), TypeError for an unknown type."""
    try:
        text = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    if b"null" in text and not _is_finite(value):
        raise ValueError("NaN and the infinities are not JSON compliant")
    return text


def json_text(value: Any) -> str:
    """Encode a value as compact JSON, as a str."""
    return encode_json(value).decode()


def _is_finite(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        return all(map(_is_finite, value.values()))
    if kind is list or kind is tuple:
        return all(map(_is_finite, value))
    return kind is not float or isfinite(value)


def _may_be_deep(text: bytes) -> bool:
    return len(text) > DEEPEST and text.count(b"[") + text.count(b"{") > DEEPEST


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")

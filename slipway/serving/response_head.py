"""A response's head as it is sent: checked, field names in lower case, with the body's framing (RFC 9112 section 6)."""

import re
from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.1
CONTROL = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]")
LENGTH, CODING, CONNECTION = SPECIAL = b"content-length: ", b"transfer-encoding: ", b"connection: "
MOST_NAMES = 1_000

_names: dict[bytes, bytes] = {}  # field names of earlier responses, in the form that is sent


def parts(
    status: int, headers: Iterable[tuple[bytes, bytes]], *, keep_alive: bool, has_body: bool
) -> tuple[list[bytes], int | None, bool]:
    """Return the head's parts, the body's length (None: chunked encoding), and whether the connection stays open.

    Raises RuntimeError for a field that HTTP does not allow, KeyError for an unknown status.
    """
    written, length, chunked, closes = [STATUS_LINE[status]], None, False, False
    for name, value in headers:
        begin = _names.get(name) or _known(name)
        if not value.isalnum() and CONTROL.search(value):
            raise RuntimeError("Invalid HTTP header value.")
        if begin in SPECIAL:
            if begin == LENGTH:
                length = int(value) if length is None else length
            elif begin == CODING:
                chunked = chunked or value.lower() == b"chunked"
            else:
                closes = closes or b"close" in [token.strip() for token in value.lower().split(b",")]
        written += begin, value, b"\r\n"
    if not keep_alive and not closes:
        written.append(b"connection: close\r\n")
    if length is None and not chunked and has_body:
        chunked = True
        written.append(b"transfer-encoding: chunked\r\n")
    written.append(b"\r\n")
    return written, None if chunked else length or 0, keep_alive and not closes


def _known(name: bytes) -> bytes:
    """Return a field's name in the form that is sent."""
    if not NAME.fullmatch(name):
        raise RuntimeError("Invalid HTTP header name.")
    if len(_names) >= MOST_NAMES:
        _names.clear()
    _names[name] = begin = name.lower() + b": "
    return begin

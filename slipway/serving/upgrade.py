"""Requests that offer an upgrade: whether one is a websocket's handshake, and the head as received."""

from collections.abc import Collection
from typing import Any


def is_websocket(scope: Any) -> bool:
    """Whether the offer is for a websocket alone. HTTP/1.0 has no upgrades: RFC 9110 section 7.8."""
    offers = [value.strip().lower() for name, value in scope["headers"] if name == b"upgrade"]
    return offers == [b"websocket"] and scope["http_version"] == "1.1"


def has_body(scope: Any) -> bool:
    """Whether the head announces a body."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip() != b"0")
        for name, value in scope["headers"]
    )


def head(scope: Any, url: bytes, without: Collection[bytes] = ()) -> bytes:
    """Return the request's head as received, without some of its fields."""
    lines = [b"%s %s HTTP/%s" % (scope["method"].encode(), url, scope["http_version"].encode())]
    lines += [b"%s: %s" % field for field in scope["headers"] if field[0] not in without]
    return b"\r\n".join([*lines, b"\r\n"])

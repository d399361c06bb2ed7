"""An HTTP request; the cap on its body is checked on the declared length, then on the bytes that arrive."""

import re
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from .codec import decode_json
from .errors import Disconnected, HTTPError
from .types import Receive, Scope, header

JSON = re.compile(rb"[ \t]*application/([!-~]+\+)?json[ \t]*(;|$)", re.IGNORECASE)  # RFC 6839 section 3.1


class Request:
    """One HTTP request as a handler sees it."""

    __slots__ = ("_receive", "max_body_bytes", "params", "scope")

    def __init__(self, scope: Scope, receive: Receive, params: dict[str, str], max_body_bytes: int) -> None:
        self.scope = scope
        self.params = params
        self.max_body_bytes = max_body_bytes
        self._receive = receive

    @property
    def state(self) -> dict[str, Any]:
        """The lifespan's `scope["state"]`: https://asgi.readthedocs.io/en/latest/specs/lifespan.html"""
        return self.scope["state"]  # type: ignore[no-any-return]

    @property
    def query(self) -> dict[str, str]:
        """The query's fields, the last value of a repeated one. Raises HTTPError 400 for more than 100 fields."""
        return parse_query(self.scope["query_string"])

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header, `name` in lower case, or None."""
        return header(self.scope, name)

    async def body(self) -> bytes:
        """Return the whole body. Raises HTTPError 413 above the cap, Disconnected when the client leaves early."""
        return await self._body(header(self.scope, b"content-length"))

    async def json(self) -> Any:
        """Return the body decoded from JSON. Raises HTTPError 415 for another content type, 400 for invalid JSON."""
        kind = length = None
        for name, value in self.scope["headers"]:
            if name == b"content-type":
                kind = value if kind is None else kind
            elif name == b"content-length":
                length = value
        return parse_json(kind, await self._body(length))

    async def _body(self, declared: bytes | None) -> bytes:
        if declared is not None and int(declared) > self.max_body_bytes:
            self._too_large()
        chunks, size = [], 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Disconnected
            chunk: bytes = message.get("body", b"")
            chunks.append(chunk)
            size += len(chunk)
            if size > self.max_body_bytes:
                self._too_large()
            if not message.get("more_body", False):
                return chunk if size == len(chunk) else b"".join(chunks)

    def _too_large(self) -> NoReturn:
        raise too_large(self.max_body_bytes)


def too_large(max_body_bytes: int) -> HTTPError:
    """Return a 413 for a body above the cap; it closes the connection, since the rest of the body is not read."""
    return HTTPError(413, f"The body is larger than {max_body_bytes} bytes.", headers=[(b"connection", b"close")])


def parse_query(query_string: bytes) -> dict[str, str]:
    """Return the fields of a query string; raises HTTPError 400 for more than 100 of them or invalid UTF-8."""
    try:
        return dict(
            parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
        )
    except ValueError:
        raise HTTPError(400, "The query string is not UTF-8 or has more than 100 fields.") from None


def parse_json(content_type: bytes | None, body: bytes) -> Any:
    """Decode a JSON text as defined by RFC 8259 (UTF-8, no NaN); raises HTTPError 415 or 400."""
    if content_type != b"application/json" and not JSON.match(content_type or b""):
        raise HTTPError(415, "The content type must be application/json.", headers=[(b"accept", b"application/json")])
    try:
        return decode_json(body)
    except RecursionError:
        raise HTTPError(400, "The JSON is nested too deeply.") from None
    except ValueError as error:
        raise HTTPError(400, f"The body is not JSON: {error}.") from None

"""Access from pages of other origins: CORS headers, and a check of websocket handshakes."""

from collections.abc import Awaitable

from .errors import HTTPError
from .response import Response
from .types import ASGIApp, Message, Receive, Scope, Send, header
from .websocket import refuse

DEFAULT_PORTS = {b"http": b":80", b"https": b":443"}


def _is_own(origin: bytes, scope: Scope) -> bool:
    """Return whether the page's origin is that of the websocket (RFC 6454 section 5); `https` corresponds to `wss`.

    Over `ws`, an `https` page of the same host is accepted too: browsers do not let such a page open a clear-text
    websocket, so a proxy in front has terminated TLS without saying so.
    """
    scheme, _, authority = origin.partition(b"://")
    host = (header(scope, b"host") or b"").lower()
    schemes = (b"https",) if scope.get("scheme") in ("wss", "https") else (b"http", b"https")
    port = DEFAULT_PORTS.get(scheme, b"")
    return scheme in schemes and authority != b"" and authority.removesuffix(port) == host.removesuffix(port)


class Origins:
    """CORS by an allow-list (https://fetch.spec.whatwg.org/#http-cors-protocol); refuses websockets of foreign pages.

    A page of the same scheme, host and port is never foreign. A client without Origin is no browser, and is accepted.
    """

    def __init__(self, app: ASGIApp, allowed: frozenset[str]) -> None:
        self.app = app
        self.allowed = frozenset(origin.encode() for origin in allowed)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "http" and self.allowed:
            return self._cors(scope, receive, send)
        if scope["type"] == "websocket" and self._foreign(scope):
            error = HTTPError(403, "This origin may not open a websocket here.")
            return refuse(scope, receive, send, Response.problem(error, scope["state"]["exchange"].request_id))
        return self.app(scope, receive, send)

    def _foreign(self, scope: Scope) -> bool:
        origin = header(scope, b"origin")
        return not (origin is None or origin in self.allowed or _is_own(origin.lower(), scope))

    async def _cors(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Every response has Vary, even to a request without Origin: a cache would serve it to a page that sends one.
        headers = [(b"vary", b"origin")]
        if (origin := header(scope, b"origin")) in self.allowed and origin is not None:
            headers.append((b"access-control-allow-origin", origin))
            if scope["method"] == "OPTIONS" and header(scope, b"access-control-request-method"):
                headers.append((b"access-control-allow-methods", b"DELETE, GET, HEAD, OPTIONS, POST"))
                headers.append((b"access-control-allow-headers", b"content-type, last-event-id, x-request-id"))
                headers.append((b"access-control-max-age", b"600"))
                await Response(status=204, headers=headers)(scope, receive, send)
                return

        def send_with_origin(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            return send(message)

        await self.app(scope, receive, send_with_origin)

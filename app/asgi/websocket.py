"""A websocket connection with checked state transitions.

https://asgi.readthedocs.io/en/latest/specs/www.html#websocket
"""

from collections.abc import Callable, Sequence
from enum import Enum, auto
from typing import Any

from .errors import Disconnected
from .request import parse_query
from .response import Response
from .types import Header, Message, Receive, Scope, Send

TOO_BIG = 1009  # RFC 6455 section 7.4.1
RESTART = 1012  # this and the next: IANA's registry of close codes
TRY_AGAIN = 1013


SEND_NOW = "websocket.send_now"  # an extension of Slipway's server: sends a text at once or returns False


class WebSocketState(Enum):
    """The state of a connection."""

    CONNECTING = auto()
    """The client has asked; the app has not accepted yet."""
    OPEN = auto()
    """Accepted: both sides may send."""
    CLOSED = auto()
    """Closed by the app, or the client is gone."""


class WebSocket:
    """One connection as a handler sees it. Calls out of order raise RuntimeError; after the close, Disconnected."""

    __slots__ = ("_receive", "_send", "_send_now", "max_message_bytes", "params", "scope", "state_of_connection")

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, max_message_bytes: int) -> None:
        self.scope = scope
        self.params: dict[str, str] = {}
        self.state_of_connection = WebSocketState.CONNECTING
        self.max_message_bytes = max_message_bytes
        self._receive = receive
        self._send = send
        offered = (scope.get("extensions") or {}).pop(SEND_NOW, None) or {}  # popped: not read again
        self._send_now: Callable[[str], bool] | None = offered.get("send")

    @property
    def state(self) -> dict[str, Any]:
        """The lifespan's `scope["state"]`."""
        return self.scope["state"]  # type: ignore[no-any-return]

    @property
    def query(self) -> dict[str, str]:
        """The query's fields, the last value of a repeated one. Raises HTTPError 400 for more than 100 fields."""
        return parse_query(self.scope["query_string"])

    async def accept(self, headers: Sequence[Header] = ()) -> None:
        """Accept the connection; raise Disconnected if the client has already left."""
        self._expect(WebSocketState.CONNECTING)
        message = await self._receive()
        if message["type"] != "websocket.connect":
            self._gone(message)
        await self._send({"type": "websocket.accept", "headers": list(headers)})
        self.state_of_connection = WebSocketState.OPEN

    async def receive(self) -> str | bytes:
        """Return the next message. Raises Disconnected, also after closing with 1009 for a message above the cap."""
        self._expect(WebSocketState.OPEN)
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._gone(message)
        text: str | None = message.get("text")
        data: str | bytes = message["bytes"] if text is None else text
        size = len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
        if size > self.max_message_bytes:
            await self.close(TOO_BIG, f"at most {self.max_message_bytes} bytes a message")
            raise Disconnected(TOO_BIG)
        return data

    async def send(self, data: str | bytes) -> None:
        """Send one message; raise Disconnected if the client is gone, whichever exception the server raises for it."""
        self._expect(WebSocketState.OPEN)
        key = "text" if isinstance(data, str) else "bytes"
        try:
            await self._send({"type": "websocket.send", key: data})
        except (OSError, RuntimeError):  # OSError: the specification; RuntimeError: uvicorn after it closed with 1009
            self.state_of_connection = WebSocketState.CLOSED
            raise Disconnected from None

    def send_now(self, text: str) -> bool:
        """Send a text if the server can do so at once; on False use `send`, which raises if the client is gone."""
        send, is_open = self._send_now, self.state_of_connection is WebSocketState.OPEN
        return is_open and send is not None and send(text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close an open connection; do nothing if it is closed already."""
        if self.state_of_connection is WebSocketState.CLOSED:
            return
        self._expect(WebSocketState.OPEN)
        self.state_of_connection = WebSocketState.CLOSED
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except (OSError, RuntimeError):
            raise Disconnected from None

    def _expect(self, state: WebSocketState) -> None:
        if self.state_of_connection is WebSocketState.CLOSED:
            raise Disconnected  # by the client, or by another of the handler's tasks
        if self.state_of_connection is not state:
            raise RuntimeError(f"the websocket is {self.state_of_connection.name}, not {state.name}")

    def _gone(self, message: Message) -> None:
        self.state_of_connection = WebSocketState.CLOSED
        raise Disconnected(message.get("code") or 1005)


async def refuse(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """Answer a handshake with an HTTP response; a server without the denial extension sends 403.

    https://asgi.readthedocs.io/en/latest/extensions.html#websocket-denial-response
    """
    await receive()  # websocket.connect
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.http.response.start", "status": response.status, "headers": response.headers})
    await send({"type": "websocket.http.response.body", "body": response.body})

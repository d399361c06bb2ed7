"""Which pages may open a websocket: those of the same scheme, host and port, and those that a setting names."""

import pytest

from app.asgi.origins import Origins
from app.asgi.types import Receive, Scope, Send
from tests.harness.driver import Conversation, websocket_scope

ALLOWED = frozenset({"https://a.example"})

# The page's origin, the websocket's scheme and host, and whether it may open it.
TABLE: list[tuple[str, str, str, bool]] = [
    ("http://host", "ws", "host", True),
    ("https://host", "wss", "host", True),
    ("http://host", "wss", "host", False),
    ("https://host", "ws", "host", True),
    ("http://host:8080", "ws", "host:8080", True),
    ("http://host:8080", "ws", "host", False),
    ("http://host", "ws", "host:8080", False),
    ("http://host", "ws", "host:80", True),
    ("http://host:80", "ws", "host", True),
    ("https://host", "wss", "host:443", True),
    ("https://host:443", "wss", "host", True),
    ("https://host", "wss", "host:80", False),
    ("http://host", "ws", "host:443", False),
    ("http://HOST", "ws", "Host", True),
    ("http://[2001:db8::1]:8080", "ws", "[2001:db8::1]:8080", True),
    ("http://[2001:db8::1]", "ws", "[2001:db8::1]:8080", False),
    ("http://other", "ws", "host", False),
    ("http://host.evil.org", "ws", "host", False),
    ("http://host@evil.org", "ws", "host", False),
    ("null", "ws", "host", False),
    ("file://", "ws", "host", False),
    ("ftp://host", "ws", "host", False),
    ("ws://host", "ws", "host", False),
    ("host", "ws", "host", False),
    ("", "ws", "host", False),
    ("://", "ws", "", False),
    ("https://a.example", "ws", "host", True),
    ("https://a.example", "wss", "host", True),
    ("http://a.example", "wss", "host", False),
]


async def accepts(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})


@pytest.mark.parametrize(("origin", "scheme", "host", "own"), TABLE)
async def test_origin_of_a_handshake(origin: str, scheme: str, host: str, own: bool) -> None:
    """A page over http is foreign to `wss`, and another port is another origin."""
    headers = [(b"host", host.encode()), (b"origin", origin.encode())]
    scope = {**websocket_scope("/", headers, {"exchange": Exchange()}), "scheme": scheme}
    async with Conversation(Origins(accepts, ALLOWED), scope) as talk:
        talk.give("websocket.connect")
        message = await talk.take()

    assert (message["type"] == "websocket.accept") is own
    assert own or message["status"] == 403


class Exchange:
    """The server's record of a request."""

    request_id = "1"

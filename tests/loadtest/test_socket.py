"""A user's websocket never delays the end of the user."""

import base64
import hashlib
import re
import time

from loadtest._socket import close, connect
from tests.bench.fake_servers import serving

ACCEPT_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3


def accepting(request: bytes, now: float) -> tuple[float, bytes]:
    """Accept the websocket, and never send anything after that."""
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
    assert key is not None
    accept = base64.b64encode(hashlib.sha1(key[1] + ACCEPT_GUID).digest())
    return 0, (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


def test_closing_waits_for_no_answer() -> None:
    """`close` does not wait 3 s as WebSocket.close() does, during which locust can't stop the user, nor ever end."""
    with serving(accepting) as port:
        socket = connect(f"http://127.0.0.1:{port}", "/ws/echo")
        begun = time.monotonic()
        close(socket)

    assert time.monotonic() - begun < 1
    assert not socket.connected

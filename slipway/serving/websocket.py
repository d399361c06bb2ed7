"""uvicorn's websocket protocol, changed to answer a client's mistakes, which are no errors of the server.

Stock behaviour that this replaces: a handshake that the parser refuses gets no answer at all, and its `shutdown`
raises; text that is not UTF-8 leaves a traceback; an app that sends on a connection that the server has closed gets a
RuntimeError; a client that sends faster than its app reads is treated as vanished.
"""

from typing import Any

from uvicorn.protocols.websockets import websockets_sansio_impl
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import OPEN

from slipway.serving import refusals
from slipway.serving.closing import TAKE_SECONDS, has_unread
from slipway.serving.frames import LastFrame
from slipway.serving.websocket_parser import Parser

SWITCHING = 101
EARLY_BYTES = 64 * 1024  # of messages that a client sends before its handshake is answered
SEND_NOW = "websocket.send_now"  # our extension of ASGI; docs/architecture.md has its contract
ABNORMAL, INVALID_DATA, SERVER_FAILED, RESTART = 1006, 1007, 1011, 1012  # RFC 6455 section 7.4.1 and IANA's registry


# The stock protocol makes its parser by this name in its module.
websockets_sansio_impl.ServerProtocol = Parser  # type: ignore[attr-defined]

_last_frame = LastFrame()  # shared, since all connections of a worker run in one loop


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """A connection whose handshake the HTTP protocol has read."""

    conn: Parser
    transport: Any
    early = b""
    pongs = b""
    heard = took = False  # since the last ping: the client has sent data, or has read waiting data

    def begin(self, head: bytes, request_id: str, rest: bytes) -> None:
        """Answer the handshake; `rest` is the data that the client has sent after it."""
        self.transport.take_seconds = TAKE_SECONDS
        self.conn.request_id = request_id
        self.data_received(head)
        if not self.handshake_initiated:
            error = self.conn.handshake_exc
            self._refuse(400, f"The handshake is malformed: {error and (error.__cause__ or error)}.")
        elif rest:
            self.data_received(rest)

    def handle_connect(self, event: Any) -> None:
        """Take the parsed handshake, and offer the app `send_now`, which is no coroutine."""
        super().handle_connect(event)
        if (
            self.response.status_code == SWITCHING and not self.conn.extensions
        ):  # compressed frames differ from client to client
            self.scope["extensions"][SEND_NOW] = {"send": self.send_now}

    def send_now(self, text: str) -> bool:
        """Write a message if the socket takes it now; otherwise return False, and the app has to use `send`."""
        if (
            not self.writable.is_set()
            or self.disconnected
            or self.close_sent
            or not self.handshake_complete
            or self.initial_response is not None
            or self.conn.state is not OPEN
            or self.transport.is_closing()
        ):
            return False
        self.transport.write(_last_frame.of(text))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if hasattr(self, "scope"):  # unset for a refused handshake; the entry makes a reference cycle
            self.scope.get("extensions", {}).pop(SEND_NOW, None)

    def data_received(self, data: bytes) -> None:
        """Parse the data; before the app has accepted, keep it until then."""
        self.heard = True
        if self.handshake_initiated and not self.handshake_complete:
            self.early += data
            if len(self.early) > EARLY_BYTES:
                self.transport.pause_reading()
            return
        self.conn.receive_data(data)
        if self.conn.parser_exc is not None:
            self.handle_parser_exception()
        else:
            self.handle_events()

    def start_keepalive(self) -> None:
        """Start pings, and parse early data; called when the app has accepted."""
        super().start_keepalive()
        early, self.early = self.early, b""
        if early:
            self.transport.resume_reading()
            self.data_received(early)

    def send_receive_event_to_app(self) -> None:
        """Hand a whole message over, and read no more until the app has taken it."""
        data, self.frames = b"".join(self.frames), []
        if self.close_sent:
            return
        try:
            if self.curr_msg_data_type == "text":
                self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})
            else:
                self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        except UnicodeDecodeError:
            return self._leave(INVALID_DATA, "text that is not UTF-8")
        # Counted here: a wrapper of the app's `receive` would keep one more coroutine per idle connection.
        if (exchange := self.scope["state"].get("exchange")) is not None:
            exchange.take(len(data))
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def handle_ping(self) -> None:
        """Answer pings; of a client that does not read, only the last one: RFC 6455 section 5.5.3."""
        pongs = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pongs)
        elif pongs:
            self.pongs = pongs

    def resume_writing(self) -> None:
        super().resume_writing()
        self.took = True
        pongs, self.pongs = self.pongs, b""
        if pongs:
            self.transport.write(pongs)

    def handle_parser_exception(self) -> None:
        """Close the connection after the parser has failed, with the parser's code and reason."""
        sent = self.conn.close_sent
        self._leave(sent.code if sent else ABNORMAL, sent.reason if sent else "")

    def send_keepalive_ping(self) -> None:
        self.heard = self.took = False
        super().send_keepalive_ping()

    def keepalive_timeout(self) -> None:
        """Close the connection, or ping again where the pong may wait behind messages that the app has not read yet."""
        self.pong_timer = self.pending_ping_payload = None
        if self.close_sent or self.transport.is_closing():
            return
        sends = self.heard or has_unread(self.transport)
        if sends and (self.took or self.writable.is_set()):
            self.send_keepalive_ping()
        else:
            self._leave(SERVER_FAILED, "keepalive ping timeout")

    def shutdown(self) -> None:
        """Close the connection because the server stops, in whatever state it is."""
        self.stop_keepalive()
        if self.close_sent:
            self.transport.close()
        elif self.handshake_complete:
            self._leave(RESTART)
        else:
            self._refuse(503, "The server is stopping; try again.")

    def send_500_response(self) -> None:
        """Answer 500 after the app has failed or returned, unless the handshake is answered."""
        if not self.handshake_complete and not self.close_sent:
            self._refuse(500, refusals.FAILED)

    def _refuse(self, status: int, detail: str) -> None:
        """Answer the handshake in the app's place."""
        self.handshake_complete = True
        self.transport.write(refusals.response(status, detail, self.conn.request_id))
        self._over(ABNORMAL)

    def _leave(self, code: int, reason: str = "") -> None:
        """Close an open connection from our side; unlike `send_close`, `fail` is valid in every state."""
        self.conn.fail(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self._over(code, reason)

    def _over(self, code: int, reason: str = "") -> None:
        """Close the transport; from now on the app sees a disconnected client."""
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.close_sent = self.disconnected = True
        self.writable.set()
        self.transport.close()

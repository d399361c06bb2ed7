"""The end of a connection: the peer gets time to read what was written, however much it goes on sending.

Stock behaviour that this answers: a connection that is closed with data unread makes the kernel send a reset, and the
peer sees that instead of its answer (https://www.rfc-editor.org/rfc/rfc9112#section-9.6): 5 of 13,435 POSTs that were
answered before their body was read, under reloads.
"""

import asyncio
import select
from typing import Any

READ_SECONDS = 2.0  # to discard what still arrives, below the drain; a proxy closes as soon as it has the answer
READ_BYTES = 64 * 1024 * 1024  # more than a body that is worth an answer
TAKE_SECONDS = 10.0  # for the peer of a closed websocket to take what is written; uvicorn waits so long for its close


class Closing:
    """A connection's transport whose `close` stops sending first, and reading only when the peer is done.

    Once closed it takes nothing more, and says so, although the kernel's connection lives for a while.
    """

    __slots__ = ("_transport", "is_closing", "pause_reading", "resume_reading", "take_seconds", "write")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.take_seconds: float | None = None  # a slow reader of a long answer may take its time
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Send what was written, then the end; discard what arrives, bounded; then close."""
        if self.is_closing():
            return
        self.is_closing = _yes
        self.write = _ignored
        self.pause_reading = self.resume_reading = _nothing
        if self._transport.can_write_eof():
            Lingering(self._transport, self.take_seconds)
        else:  # TLS has no half-closed connections
            self._transport.close()


class Lingering(asyncio.Protocol):
    """Stands in for the protocol of a connection that is being closed; passes everything on but the data."""

    def __init__(self, transport: asyncio.Transport, take_seconds: float | None) -> None:
        self._transport = transport
        self._protocol: Any = transport.get_protocol()
        self._left = READ_BYTES
        self._loop = asyncio.get_running_loop()
        self._deadline = None if take_seconds is None else self._loop.time() + take_seconds
        self._timer = self._loop.call_later(READ_SECONDS, self._give_up)
        transport.set_protocol(self)
        transport.write_eof()
        transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.close()

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._protocol.connection_lost(exc)

    def _give_up(self) -> None:
        """The peer does not close; while there is something left to send it may have reason to."""
        unsent = self._transport.get_write_buffer_size()
        if unsent and (self._deadline is None or self._loop.time() < self._deadline):
            self._timer = self._loop.call_later(READ_SECONDS, self._give_up)
        else:
            self._transport.abort()


def has_unread(transport: Any) -> bool:
    """Whether something waits to be read: data, or the peer's end."""
    arrived = select.poll()
    arrived.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(arrived.poll(0))


def _yes() -> bool:
    return True


def _ignored(data: Any) -> None:
    pass


def _nothing() -> None:
    pass

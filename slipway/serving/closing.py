"""Closes a connection so that the peer has time to read what was written, even while it goes on sending.

Stock behaviour that this replaces: if a connection is closed with unread data, the kernel sends a reset, which the
peer sees instead of the response (https://www.rfc-editor.org/rfc/rfc9112#section-9.6): 5 of 13,435 POSTs that were
answered before their body was read, under reloads.
"""

import asyncio
import select
from typing import Any

READ_SECONDS = 2.0  # to discard input, within the drain's time; a proxy closes as soon as it has the response
READ_BYTES = 64 * 1024 * 1024  # discarded at most; more than any body that is worth a response
TAKE_SECONDS = 10.0  # for the peer of a closed websocket to read the rest; uvicorn's close time-out is the same


class Closing:
    """A transport whose `close` ends sending at once, and reading only when the peer is done.

    After `close` it ignores writes and reports that it is closing, although the kernel's connection lives for a while.
    """

    __slots__ = ("_transport", "is_closing", "pause_reading", "resume_reading", "take_seconds", "write")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.take_seconds: float | None = None  # None: a slow reader of a long response may take any time
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        """Send the buffered data and the end of the stream, discard a bounded amount of input, then close."""
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
    """Replaces the protocol of a connection that is being closed: discards data, and passes all other events on."""

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
        """Abort a connection that the peer has not closed; while data is unsent, wait on until the deadline."""
        unsent = self._transport.get_write_buffer_size()
        if unsent and (self._deadline is None or self._loop.time() < self._deadline):
            self._timer = self._loop.call_later(READ_SECONDS, self._give_up)
        else:
            self._transport.abort()


def has_unread(transport: Any) -> bool:
    """Whether something can be read: data, or the end of the peer's stream."""
    arrived = select.poll()
    arrived.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(arrived.poll(0))


def _yes() -> bool:
    return True


def _ignored(data: Any) -> None:
    pass


def _nothing() -> None:
    pass

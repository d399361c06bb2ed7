"""One connection without a network: how its requests start, and how long it waits for the next."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from slipway.middleware.types import Receive, Scope, Send
from slipway.serving.arrival import Arrival
from slipway.serving.http import Http

IDLE_SECONDS = 5
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass
class SetLoop:
    """An event loop whose time is set by the test."""

    loop: asyncio.AbstractEventLoop
    now: float = 100.0
    timers: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def create_task(self, coroutine: Any) -> asyncio.Task[Any]:
        return self.loop.create_task(coroutine)

    def call_at(self, when: float, callback: Callable[[], None]) -> str:
        self.timers.append((when, callback))
        return "a timer"

    def move(self, seconds: float) -> None:
        """Let time pass and run the timers that are due."""
        self.now += seconds
        due = [timer for timer in self.timers if timer[0] <= self.now]
        self.timers = [timer for timer in self.timers if timer not in due]
        for _, callback in due:
            callback()


class KeepingTransport(asyncio.Transport):
    """A transport that keeps the written bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.written: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written.put_nowait(data)

    async def read(self) -> bytes:
        return await asyncio.wait_for(self.written.get(), 5)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def connected(app: Any, state: ServerState) -> tuple[Http, KeepingTransport, SetLoop]:
    config = uvicorn.Config(app, log_config=None, ws="none", timeout_keep_alive=IDLE_SECONDS)
    peer, protocol, clock = KeepingTransport(), Http(config, state, {}), SetLoop(asyncio.get_running_loop())
    protocol.loop = clock  # type: ignore[assignment]
    protocol.connection_made(peer)
    return protocol, peer, clock


async def test_idle_time_begins_with_each_answer() -> None:
    """An idle connection is closed when nothing has arrived for the whole idle time, with a single timer."""
    protocol, peer, clock = connected(hello, ServerState())
    for _ in range(4):
        protocol.data_received(REQUEST)
        await peer.read()
        assert len(clock.timers) == 1
        clock.move(IDLE_SECONDS - 1)
        assert not peer.is_closing()
    clock.move(1)

    assert peer.is_closing()


async def test_half_a_head_is_no_idle_connection() -> None:
    """The first bytes of a request stop the idle time, which starts again with the answer."""
    protocol, peer, clock = connected(hello, ServerState())
    protocol.data_received(REQUEST)
    await peer.read()
    protocol.data_received(REQUEST[:10])
    clock.move(2 * IDLE_SECONDS)
    assert not peer.is_closing()
    protocol.data_received(REQUEST[10:])
    await peer.read()
    clock.move(IDLE_SECONDS)

    assert peer.is_closing()


async def test_answer_is_one_write() -> None:
    """Head and body are sent in one write, so that no client receives a head alone."""
    protocol, peer, _ = connected(hello, ServerState())
    protocol.data_received(REQUEST)

    assert await peer.read() == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


async def test_handlers_take_themselves_off_the_list() -> None:
    """The server knows the running handlers and no others."""
    state = ServerState()
    protocol, peer, _ = connected(hello, state)
    protocol.data_received(REQUEST)
    assert len(state.tasks) == 1
    await peer.read()
    await asyncio.sleep(0)

    assert state.tasks == set()


async def test_two_wait_for_one_arrival() -> None:
    """All waiters are woken, a cancelled one takes nothing from the others, and later ones wait for the next event."""
    arrival = Arrival()
    first, second = (asyncio.create_task(arrival.wait()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    arrival.set()
    await asyncio.wait_for(second, 5)
    await asyncio.wait_for(arrival.wait(), 5)
    arrival.clear()
    third = asyncio.create_task(arrival.wait())
    await asyncio.sleep(0)

    assert first.cancelled()
    assert not third.done()
    third.cancel()

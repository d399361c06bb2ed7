"""Small servers with known faults. Loopback only; each ends with its test."""

import asyncio
import contextlib
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!"
Behave = Callable[[bytes, float], tuple[float, bytes]]  # request, seconds since the start: seconds to wait, the answer


@contextlib.contextmanager
def serving(behave: Behave, *, closes: bool = False) -> Iterator[int]:
    """Serve in a thread; yield the port. With `closes`, each connection is closed, unannounced, after an answer."""
    loop, started = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []
    begun = time.monotonic()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for _ in range(1) if closes else itertools.count():
                request = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(request)
                await reader.readexactly(int(length[1]) if length else 0)
                delay, answer = behave(request, time.monotonic() - begun)
                if delay:
                    await asyncio.sleep(delay)
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has disconnected
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        started.set()
        await stop.wait()
        server.close()
        handlers = asyncio.all_tasks() - {asyncio.current_task()}
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    assert started.wait(5)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
        loop.close()


def freezing(period: float, frozen: float) -> Behave:
    """Answer at once, except in the first `frozen` seconds of each period, whose answers wait until these are over."""

    def behave(request: bytes, now: float) -> tuple[float, bytes]:
        return max(0.0, frozen - now % period), ANSWER

    return behave


def wrong_each(count: int) -> Behave:
    """Answer every `count`th request with a wrong body."""
    numbers = iter(range(1, 1_000_000))

    def behave(request: bytes, now: float) -> tuple[float, bytes]:
        return 0.0, ANSWER.replace(b"World", b"Wirld") if next(numbers) % count == 0 else ANSWER

    return behave

"""Holds slow connections from one address, as a process: `python -m tests.live.slow_clients PORT KIND COUNT`.

It prints `open` when all are open, and lets them drip until its standard input ends.
"""

import asyncio
import sys

HOST = b"Host: localhost\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE += b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
# For each kind, the bytes that it sends first and those that it sends repeatedly; a reader reads none of its answers.
KINDS = {
    "silent": (b"", b""),
    "headers": (b"GET / HTTP/1.1\r\n" + HOST + b"X: ", b"a"),
    "bodies": (b"POST /api/users HTTP/1.1\r\n" + HOST + b"Content-Length: 1000\r\n\r\n", b"a"),
    "streams": (b"GET /events HTTP/1.1\r\n" + HOST + b"\r\n", b""),
    "websockets": (b"GET /ws/echo HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n", b""),
    "readers": ((b"GET /static/connection.js HTTP/1.1\r\n" + HOST + b"\r\n") * 100, b""),
}
DRIP_SECONDS = 3.0
OPENING = 50  # at the same time


class Slow(asyncio.Protocol):
    """One connection."""

    def __init__(self, kind: str) -> None:
        self.first, self.again = KINDS[kind]
        self.reads = kind != "readers"
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if not self.reads:
            transport.pause_reading()
        transport.write(self.first)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True


async def main(port: int, kind: str, count: int) -> None:
    """Open the connections and let them drip until standard input ends."""
    loop = asyncio.get_running_loop()
    slow: list[Slow] = []
    for _ in range(0, count, OPENING):
        opened = (loop.create_connection(lambda: Slow(kind), "127.0.0.1", port) for _ in range(OPENING))
        slow += [protocol for _, protocol in await asyncio.gather(*opened)]
    print("open", flush=True)
    dripping = asyncio.create_task(drip(slow))
    await loop.run_in_executor(None, sys.stdin.read)
    dripping.cancel()


async def drip(slow: list[Slow]) -> None:
    while True:
        await asyncio.sleep(DRIP_SECONDS)
        for each in slow:
            if each.again and not each.closed:
                each.transport.write(each.again)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))

"""Limits and costs of connections, on the real stack."""

import asyncio
import os
import time
from base64 import b64encode

import pytest
from redis import Redis

from tests.app.shared_state.stacks import LocalStack
from tests.harness.chat import Client
from tests.harness.client import Connection, EventStream, request
from tests.harness.processes import until
from tests.harness.stack import behind_nginx, serving
from tests.harness.websocket import CLOSE, TEXT, Frames
from tests.promises.connections import LONG, Idle, idle_sockets

KIB, MIB = 1 << 10, 1 << 20
KEY = f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY)
QUICK_PINGS = """
from slipway.serving.worker import Worker
Worker.CONFIG_KWARGS |= {"ws_ping_interval": 0.5, "ws_ping_timeout": 0.5}
exec(open("gunicorn.conf.py").read())
"""


async def test_websockets_per_worker_are_limited() -> None:
    """A websocket over the limit is refused with 503 before it is accepted, and plain requests are served."""
    with serving(workers=1, MAX_WEBSOCKETS="20") as server:
        address = server.address()
        async with idle_sockets([address], 20) as sockets:
            with pytest.raises(ConnectionError, match="503"):
                await Idle.connect(address)
            refused = await request(address, "GET", "/ws/chat", b"", *UPGRADE)

            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            assert (await request(address, "GET", "/plaintext")).status == 200
            sockets[0].close()
            await until(lambda: not sockets[0].open, 5)
        (await Idle.connect(address)).close()


async def test_origin_and_size() -> None:
    """A foreign origin is refused with 403; a message of 64 KiB passes, and one byte more is closed with 1009."""
    taken: list[tuple[int, bytes]] = []
    with serving(workers=1) as server, behind_nginx(server) as nginx:
        with pytest.raises(ConnectionError, match="403"):
            await Idle.connect(nginx.address, "/ws/chat", "Origin: https://elsewhere.example")
        frames = await Frames.open(nginx.address, "/ws/echo", lambda opcode, payload: taken.append((opcode, payload)))
        frames.send(b"x" * 65_536)
        await until(lambda: taken, 5)
        frames.send(b"x" * 65_537)
        await until(lambda: len(taken) == 2, 5)
        frames.transport.close()

    assert taken[0] == (TEXT, b"x" * 65_536)
    assert (taken[1][0], int.from_bytes(taken[1][1][:2], "big")) == (CLOSE, 1009)


async def test_deflate_is_off() -> None:
    """A client that offers compression is accepted without it."""
    with serving(workers=1) as server:
        async with await Connection.open(server.address()) as connection:
            connection.send("GET", "/ws/echo", b"", *UPGRADE, "Sec-WebSocket-Extensions: permessage-deflate")
            status, fields = await connection.head()

    assert status == 101
    assert "sec-websocket-extensions" not in fields


async def test_one_listener_per_worker(stack: LocalStack) -> None:
    """A worker has one listener on the bus, however many clients it has."""
    async with idle_sockets([stack.address], 100):
        if stack.backend.redis is None:
            listeners = len(list((stack.server.folder / "data").glob("bus-*.sock")))
        else:
            with Redis.from_url(stack.backend.redis.url) as client:
                await until(lambda: client.info("clients")["blocked_clients"] == 2, 5)  # reads that wait for messages
                listeners = client.info("clients")["blocked_clients"]

    assert listeners == stack.server.workers


async def test_abandoned_event_stream() -> None:
    """An event stream whose client disconnects ends within a second, also through nginx."""
    with serving(workers=1, ACCESS_LOG="1") as server, behind_nginx(server) as nginx:
        for address in (server.address(), nginx.address):
            before = server.logged('"path":"/events"')
            stream = await EventStream.open(address)
            await stream.close()
            left = time.monotonic()
            await until(lambda before=before: server.logged('"path":"/events"') > before, 5)  # type: ignore[misc]

            assert time.monotonic() - left < 1


async def test_event_stream_that_is_not_read() -> None:
    """An event stream whose client does not read is cut off, which frees its memory in the worker."""
    with serving(workers=1, ACCESS_LOG="1") as server:
        address = server.address()
        assert isinstance(address, str)
        _, writer = await asyncio.open_unix_connection(address, limit=1)
        writer.write(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        speaker = Client(address, "ann", [f"{number} {LONG}" for number in range(600)])
        speaking = asyncio.create_task(speaker.run())
        await until(lambda: speaker.done, 20)
        speaker.close()
        await speaking
        await until(lambda: server.logged('"path":"/events"'), 15)
        writer.close()

    assert speaker.seen.messages == 600

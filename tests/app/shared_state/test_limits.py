"""What connections cost and may do, on the real stack."""

import asyncio
import os
import time
from base64 import b64encode
from pathlib import Path

import pytest
from redis import Redis

from tests.app.shared_state.stacks import LocalStack
from tests.harness.chat import Client
from tests.harness.client import Connection, EventStream, request
from tests.harness.load import GET, Load
from tests.harness.processes import until
from tests.harness.stack import behind_nginx, serving
from tests.harness.websocket import CLOSE, TEXT, Frames
from tests.promises.state_limits import LONG, Idle, beside_deaf, bytes_per_idle_socket, idle_sockets, seconds_until_back

KIB, MIB = 1 << 10, 1 << 20
KEY = f"Sec-WebSocket-Key: {b64encode(os.urandom(16)).decode()}"
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY)
QUICK_PINGS = """
from slipway.serving.worker import Worker
Worker.CONFIG_KWARGS |= {"ws_ping_interval": 0.5, "ws_ping_timeout": 0.5}
exec(open("gunicorn.conf.py").read())
"""


async def test_idle_websocket_costs_little() -> None:
    """An idle websocket at the chat adds at most 22 KiB to its worker."""
    with serving(workers=1) as server:
        each = await bytes_per_idle_socket(server, 1_000)

        assert each <= 22 * KIB, each / KIB


async def test_websockets_per_worker_are_limited() -> None:
    """A websocket too many is refused with 503 before it is accepted, and plain requests are not."""
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
    """A client that offers compression is answered without it."""
    with serving(workers=1) as server:
        async with await Connection.open(server.address()) as connection:
            connection.send("GET", "/ws/echo", b"", *UPGRADE, "Sec-WebSocket-Extensions: permessage-deflate")
            status, fields = await connection.head()

    assert status == 101
    assert "sec-websocket-extensions" not in fields


async def test_half_open_client(tmp_path: Path) -> None:
    """A client that answers no ping is gone after one ping and its time-out, here a second; whoever answers stays."""
    (tmp_path / "quick.py").write_text(QUICK_PINGS)
    with serving(workers=1, arguments=["--config", str(tmp_path / "quick.py")]) as server:
        async with idle_sockets([server.address()], 10) as sockets:
            for socket in sockets[:5]:
                socket.answers = False
            await until(lambda: not any(socket.open for socket in sockets[:5]), 5)

            assert all(socket.open for socket in sockets[5:])


async def test_one_listener_per_worker(stack: LocalStack) -> None:
    """However many clients a worker has, it listens to the bus once."""
    async with idle_sockets([stack.address], 100):
        if stack.backend.redis is None:
            listeners = len(list((stack.server.folder / "data").glob("bus-*.sock")))
        else:
            with Redis.from_url(stack.backend.redis.url) as client:
                await until(lambda: client.info("clients")["blocked_clients"] == 2, 5)  # a read that waits for news
                listeners = client.info("clients")["blocked_clients"]

    assert listeners == stack.server.workers


async def test_abandoned_event_stream() -> None:
    """An event stream whose client leaves without a word ends within a second, through nginx, too."""
    with serving(workers=1, ACCESS_LOG="1") as server, behind_nginx(server) as nginx:
        for address in (server.address(), nginx.address):
            before = server.logged('"path":"/events"')
            stream = await EventStream.open(address)
            await stream.close()
            left = time.monotonic()
            await until(lambda before=before: server.logged('"path":"/events"') > before, 5)  # type: ignore[misc]

            assert time.monotonic() - left < 1


async def test_event_stream_that_is_not_read() -> None:
    """An event stream whose client does not read is cut off, and so is its place in the worker's memory."""
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


@pytest.mark.alone
async def test_readers_that_never_read() -> None:
    """Beside 100 clients that never read the others are not disturbed, the memory stays bounded, and these are cut."""
    with serving(workers=2) as server:
        seen = await beside_deaf(server, [server.address(0), server.address(1)], 100, 1_000)

        assert seen.closed == 100, seen
        assert seen.lost == 0, seen
        assert seen.grown < 50 * MIB, seen
        assert seen.beside_deaf < 1.1 * seen.beside_readers, seen


async def test_all_are_back_after_a_reload() -> None:
    """500 clients are back at new workers within 30 s of a reload, and no plain request fails meanwhile."""
    with serving(workers=2) as server, behind_nginx(server) as nginx:
        clients = [Client(nginx.address, f"c{number}") for number in range(500)]
        running = [asyncio.create_task(client.run()) for client in clients]
        await until(lambda: all(client.worker for client in clients), 20)
        old = set(server.pids())
        async with Load(nginx.address, [GET], kept=4) as load:
            assert (await server.reload())[0] == 0
            seconds = await seconds_until_back(clients, old)
        for client in clients:
            client.close()
        await asyncio.gather(*running)

        assert seconds < 30
        assert not load.report.lost

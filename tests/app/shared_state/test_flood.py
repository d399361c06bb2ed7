"""Clients that send as fast as they can are slowed, and a full bus leaves the rest of the app in service."""

import asyncio
import json
import time

import pytest

from tests.app.shared_state.stacks import Cramped, LocalStack, new_name
from tests.harness.chat import Client
from tests.harness.client import Address, request
from tests.harness.processes import until
from tests.harness.servers import Redis
from tests.harness.stack import serving
from tests.harness.websocket import CLOSE, PING, PONG, TEXT, Frames

RATE = 20


class Flood:
    """A client that sends all its messages at once, and reads."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.codes: list[int] = []
        self.lost = False

    @classmethod
    async def begin(cls, address: Address, texts: list[str]) -> "Flood":
        flood = cls()
        flood.frames = await Frames.open(address, "/ws/chat", flood._take, flood._end)
        for text in texts:
            flood.frames.send(json.dumps({"user": "flood", "message": text}).encode())
        return flood

    frames: Frames

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.frames.send(payload, PONG)
        elif opcode == CLOSE:
            self.codes.append(int.from_bytes(payload[:2], "big"))
        elif opcode == TEXT and (text := json.loads(payload).get("message")):
            self.heard.append(text)

    def _end(self) -> None:
        self.lost = True


async def test_flood_is_slowed() -> None:
    """Four flooding clients get their burst and their rate, stay connected, and disturb no other client."""
    with serving(workers=1, MESSAGES_PER_SECOND=str(RATE)) as server:
        start = time.monotonic()
        floods = [await Flood.begin(server.address(), [f"{n} {m}" for m in range(3_000)]) for n in range(4)]
        await asyncio.sleep(2)  # time for the floods, whose messages are counted below
        ann = Client(server.address(), "ann", ["a", "b", "c"])
        running = asyncio.create_task(ann.run())
        await until(lambda: ann.done, 10)
        most = len(floods) * RATE * (2 + time.monotonic() - start + 1)
        heard = max(len(flood.heard) for flood in floods)
        ann.close()
        await running
        for flood in floods:
            flood.frames.transport.close()

        assert len(floods) * RATE * 2 < heard < most, (heard, most)
        assert not any(flood.lost or flood.codes for flood in floods)
        assert max(ann.delays) < 1


async def test_burst_arrives() -> None:
    """A client that sends more at once than its burst loses no message, keeps their order, and stays connected."""
    texts = [f"{number}" for number in range(300)]
    with serving(workers=1) as server:
        flood = await Flood.begin(server.address(), texts)
        await until(lambda: len(flood.heard) == len(texts), 20)
        flood.frames.transport.close()

        assert flood.heard == texts
        assert not flood.lost
        assert not flood.codes


async def test_bad_messages_are_slowed_too() -> None:
    """A refused message counts against the rate like an accepted one."""
    with serving(workers=1, MESSAGES_PER_SECOND=str(RATE)) as server:
        start = time.monotonic()
        flood = await Flood.begin(server.address(), [""] * 10 * RATE)
        flood.frames.send(json.dumps({"user": "flood", "message": "last"}).encode())
        await until(lambda: flood.heard, 20)
        flood.frames.transport.close()

        assert time.monotonic() - start > 7


@pytest.mark.parametrize("refusal", ["maxmemory 1", "min-replicas-to-write 1"])
async def test_redis_that_takes_nothing(redis: Redis, refusal: str) -> None:
    """A full Redis is a warning, and the worker stays ready; a Redis that refuses for another reason is away."""
    name, value = refusal.split()
    redis.command("FLUSHALL")
    with serving(workers=1, BUS_URL=redis.url) as server:
        redis.command(f"CONFIG SET {name} {value}")
        try:
            word, status = ("warn", 200) if name == "maxmemory" else ("fail", 503)
            assert await until_bus(server.address(), word) == status
        finally:
            redis.command(f"CONFIG SET {name} 0")
        assert await until_bus(server.address(), "pass") == 200


async def until_bus(address: Address, word: str) -> int:
    """Wait until the bus has this state; return the status of that answer."""
    async with asyncio.timeout(10):
        while True:
            answer = await request(address, "GET", "/readyz")
            body = json.loads(answer.body)
            if body["checks"]["bus"] == word:
                assert body["status"] == word
                return answer.status
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("backend", ["embedded"], indirect=True)
async def test_full_disk_of_the_bus(cramped: Cramped) -> None:
    """With a full disk the embedded bus is a warning, and users can be read, also at a new worker."""
    stack = cramped.stack
    assert isinstance(stack, LocalStack)
    assert (await stack.create(new_name())).status == 201
    cramped.disk.fill()
    await until_bus(stack.address, "warn")
    await stack.kill_worker()
    for slot in stack.slots:
        assert await until_bus(slot, "warn") == 200
        assert (await request(slot, "GET", "/api/users")).status == 200
    cramped.disk.free()

    assert await until_bus(stack.address, "pass") == 200

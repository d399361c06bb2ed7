"""The bounds of the bus's store in messages, bytes and keys, on both back ends."""

import asyncio
import json
from pathlib import Path

import pytest

from app.services.bus import Bus, Item, Message, Retention
from app.services.embedded_bus import EmbeddedBus
from app.services.errors import Full
from app.services.redis_bus import RedisBus
from tests.app.shared_state.test_bus import Ends, ends, publish, take, until
from tests.harness import servers
from tests.harness.servers import Redis

__all__ = ["ends"]

MIB = 1 << 20
MOST = 200_000  # bytes
AT_ONCE = 8
SECONDS = 20.0
TEXTS = {
    "short": "x",
    "long": "x" * 2_000,
    "escaped": "\U0001f600" * 2_000,  # 12 bytes each as JSON
}


async def kept(bus: Bus) -> list[Message]:
    """Return all messages that a client gets from the beginning."""
    end = await bus.publish('{"text":"end"}')
    found: list[Message] = []
    async with asyncio.timeout(SECONDS), bus.subscribe("0", beats=False) as items:
        while not found or found[-1].id != end:
            item: Item = await anext(items)
            assert isinstance(item, Message)
            found.append(item)
    return found[:-1]


async def fill(bus: Bus, text: str, count: int, *, keys: bool = True) -> None:
    """Publish `count` messages, each with its own key."""
    data = json.dumps({"text": text})
    for first in range(0, count, AT_ONCE):
        numbers = range(first, min(first + AT_ONCE, count))
        await asyncio.gather(*(bus.publish(data, f"key {number} {'k' * 20}" if keys else "") for number in numbers))


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
async def test_bytes_are_bounded(ends: Ends, text: str) -> None:
    """The kept messages have at most the allowed bytes, short or long; a client that missed more gets a reset."""
    bus = await ends(Retention(100_000, 3_600, MOST))
    (first,) = await publish(bus, "first")
    count = 2 * MOST // (len(json.dumps(text)) + 200)
    await fill(bus, text, count)
    messages = await kept(bus)

    assert sum(len(message.data) for message in messages) <= MOST
    assert 1 < len(messages) < count
    assert [message.number for message in messages] == list(range(messages[0].number, messages[-1].number + 1))
    async with bus.subscribe(first, beats=False) as items:
        assert await take(items, 1) == ["Reset"]


async def test_one_message_is_always_kept(ends: Ends) -> None:
    """A message larger than the allowed bytes still reaches the clients."""
    bus = await ends(Retention(10, 3_600, 1_000))
    async with bus.subscribe(beats=False) as items:
        for text in ("a", "x" * 5_000, "b"):
            await publish(bus, text)

            assert await take(items, 1) == [text]


async def test_key_is_forgotten_with_its_message(ends: Ends) -> None:
    """A repeated message is stored once while the first is kept; after that it is a new message."""
    bus = await ends(Retention(10, 3_600))
    first = await bus.publish('{"text":"a"}', "a")
    assert await bus.publish('{"text":"a"}', "a") == first
    await fill(bus, "x", 10)

    assert await bus.publish('{"text":"a"}', "a") != first


async def test_file_is_bounded(folder: Path) -> None:
    """The files of the embedded log stop growing: removed messages make room for new ones."""
    bus = EmbeddedBus(folder, Retention(100_000, 3_600, MIB))
    await bus.start()
    try:
        await fill(bus, "x" * 2_000, 1_000)
        await bus.beat("{}")
        before = (folder / "bus.db").stat().st_size
        await fill(bus, "y" * 2_000, 3_000, keys=False)
        after, wal = (folder / "bus.db").stat().st_size, (folder / "bus.db-wal").stat().st_size
    finally:
        await bus.stop()

    assert after < 1.2 * before < 4 * MIB
    assert wal < 17 * MIB


@pytest.mark.parametrize("keep", [Retention(100, 3_600), Retention(100_000, 1), Retention(100_000, 3_600, 100_000)])
async def test_redis_has_nothing_but_what_is_kept(keep: Retention) -> None:
    """Keys are removed with their messages, by number, age and size, and no other keys remain."""
    with servers.redis(persistent=False) as redis:
        bus = RedisBus(redis.url, keep)
        await bus.start()
        try:
            await fill(bus, "x" * 200, 1_500)
            if keep.seconds == 1:
                await asyncio.sleep(1.1)  # until the messages are too old
                for _ in range(3):
                    await bus.beat("{}")
            names, sent = number(redis, "DBSIZE"), number(redis, "HLEN {slipway}:sent")
            length = number(redis, "XLEN {slipway}:log")
        finally:
            await bus.stop()

    assert names <= 4
    assert sent == length <= 250


async def test_memory_of_redis_is_bounded() -> None:
    """Publishing five times as many messages with keys as are kept takes no more memory."""
    with servers.redis(persistent=False) as redis:
        bus = RedisBus(redis.url, Retention(1_000, 3_600))
        await bus.start()
        try:
            await fill(bus, "x" * 500, 1_000)
            before = used(redis)
            await fill(bus, "y" * 500, 5_000)
            after = used(redis)
        finally:
            await bus.stop()

    assert after - before < MIB


async def test_redis_at_its_limit_takes_one_for_another() -> None:
    """With its memory used up by others, Redis still takes new messages once the log has its full length."""
    with servers.redis(persistent=False) as redis:
        bus = RedisBus(redis.url, Retention(10, 3_600))
        await bus.start()
        try:
            await fill(bus, "x", 20)
            redis.command("CONFIG SET maxmemory 1")
            await until(lambda: bus.last == 20)
            async with bus.subscribe(beats=False) as items:
                await publish(bus, "a", "b")

                assert await take(items, 2) == ["a", "b"]
        finally:
            await bus.stop()


async def test_full_redis_is_full_and_not_away(redis: Redis) -> None:
    """A Redis without free memory is reported as full, and its messages can be read, also by returning clients."""
    redis.command("FLUSHALL")
    bus = RedisBus(redis.url, Retention(10, 3_600))
    await bus.start()
    try:
        (first,) = await publish(bus, "first")
        await publish(bus, "second")
        redis.command("CONFIG SET maxmemory 1")
        try:
            with pytest.raises(Full):
                await publish(bus, "lost")
            assert (bus.available, bus.full, bus.readable) == (False, True, True)
            async with bus.subscribe(first, beats=False) as items:
                assert set(await take(items, 2)) == {"False", "second"}
        finally:
            redis.command("CONFIG SET maxmemory 0")
        await bus.beat("{}")
        assert (bus.available, bus.full) == (True, False)
    finally:
        await bus.stop()


async def test_full_redis_from_the_start() -> None:
    """An empty Redis that takes no writes is reported as full, not away, and is used as soon as it takes one."""
    with servers.redis(maxmemory="1") as redis:
        bus = RedisBus(redis.url, Retention(10, 3_600))
        await bus.start()
        try:
            with pytest.raises(Full):
                await bus.beat("{}")
            assert bus.full
            redis.command("CONFIG SET maxmemory 0")
            await until(lambda: bus.readable)
            await publish(bus, "a")
            assert bus.available
        finally:
            await bus.stop()


def number(redis: Redis, command: str) -> int:
    return int(redis.command(command).removeprefix(":"))


def used(redis: Redis) -> int:
    """Return the used memory in bytes."""
    return number(redis, "EVAL \"return tonumber(string.match(redis.call('INFO','memory'),'used_memory:(%d+)'))\" 0")

"""The bus on both back ends, two workers in one process: one order, no gap and no repetition, or a reset."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from app.services.backlog import QUEUE_CHARACTERS, QUEUE_MESSAGES
from app.services.bus import Availability, Bus, Item, Message, Retention, SlowReader
from app.services.embedded_bus import LOOK_SECONDS, EmbeddedBus
from app.services.errors import Unavailable
from app.services.redis_bus import RedisBus
from app.services.subscription import BATCH
from tests.harness import servers
from tests.harness.servers import Redis
from tests.harness.stores import SmallDisk

SECONDS = 10.0
ANSWER_SECONDS = 2.0
KEEP = Retention(10_000, 3_600)


class Ends:
    """A factory that opens the bus for one more worker; all are closed at the end."""

    def __init__(self, stack: AsyncExitStack, make: Callable[[Retention], Bus]) -> None:
        self._stack = stack
        self._make = make

    async def __call__(self, keep: Retention = KEEP) -> Bus:
        bus = self._make(keep)
        await bus.start()
        self._stack.push_async_callback(bus.stop)
        return bus


@pytest.fixture(params=["embedded", "redis"])
async def ends(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Ends]:
    """Yield a factory for the workers of an empty bus."""
    async with AsyncExitStack() as stack:
        if request.param == "embedded":
            yield Ends(stack, lambda keep: EmbeddedBus(folder, keep))
        else:
            redis: Redis = request.getfixturevalue("redis")
            redis.command("FLUSHALL")
            yield Ends(stack, lambda keep: RedisBus(redis.url, keep))


async def publish(bus: Bus, *texts: object) -> list[str]:
    return [await bus.publish(json.dumps({"text": str(text)})) for text in texts]


def shown(item: Item) -> str:
    if isinstance(item, Message):
        return str(json.loads(item.json)["text"])
    return str(item.available) if isinstance(item, Availability) else type(item).__name__


async def take(items: AsyncIterator[Item], count: int) -> list[str]:
    """Return the next items: texts, "Reset", "Beat", or "True" and "False" for the bus's availability."""
    async with asyncio.timeout(SECONDS):
        return [shown(await anext(items)) for _ in range(count)]


async def take_until(items: AsyncIterator[Item], last: str) -> list[str]:
    """Return the items up to this one."""
    taken: list[str] = []
    async with asyncio.timeout(SECONDS):
        while last not in taken[-1:]:
            taken.append(shown(await anext(items)))
    return taken


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(SECONDS):
        while not true():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.01)


async def test_one_order(ends: Ends) -> None:
    """The clients of two workers that publish at the same time read the same order."""
    one, other = await ends(), await ends()
    async with one.subscribe() as first, other.subscribe() as second:
        ids = await asyncio.gather(*(publish(bus, *range(100)) for bus in (one, other)))

        async with asyncio.timeout(SECONDS):
            read = [[(await anext(items)) for _ in range(200)] for items in (first, second)]
    orders = [[item.id for item in items if isinstance(item, Message)] for items in read]
    assert orders[0] == orders[1] == sorted([*ids[0], *ids[1]], key=one.parse)


async def test_resuming_while_others_publish(ends: Ends) -> None:
    """A client that leaves one worker at any message and resumes at another has no gap and no repetition."""
    one, other = await ends(), await ends()
    total = 300
    texts = [str(number) for number in range(total)]
    (start,) = await publish(one, "start")

    async def read(leave: int) -> list[str]:
        async with one.subscribe(start) as items:
            seen = [await anext(items) for _ in range(leave)]
        last = seen[-1].id if seen and isinstance(seen[-1], Message) else start
        async with other.subscribe(last) as items:
            return [shown(item) for item in seen] + await take(items, total - leave)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        readers = [group.create_task(read(number)) for number in range(0, total, 11)]
        group.create_task(publish(one, *texts))

    assert [reader.result() for reader in readers] == [texts] * len(readers)


async def test_message_that_is_sent_again(ends: Ends) -> None:
    """A message with the key of a kept one is not stored again, whichever worker takes it."""
    one, other = await ends(), await ends()
    data = json.dumps({"text": "a"})

    ids = await asyncio.gather(
        *(bus.publish(data, key) for key in ("x", "y") for bus in (one, other) for _ in range(5))
    )
    await publish(one, "end")

    assert len(set(ids[:10])) == len(set(ids[10:])) == 1
    async with other.subscribe("0") as items:
        assert await take(items, 3) == ["a", "a", "end"]


async def test_replay_of_many(ends: Ends) -> None:
    """A client that missed more messages than one read returns gets all of them."""
    bus = await ends()
    total = 3 * BATCH + 5
    ids = await publish(bus, *range(total))

    async with bus.subscribe(ids[9]) as items:
        assert await take(items, total - 10) == [str(number) for number in range(10, total)]


async def test_reset_beyond_the_count(ends: Ends) -> None:
    """A client that missed messages which are no longer kept gets a reset and the kept ones; others get no reset."""
    bus = await ends(Retention(10, 3_600))
    ids = await publish(bus, *range(30))
    kept = [str(number) for number in range(20, 30)]

    async with bus.subscribe(ids[19]) as edge, bus.subscribe(ids[18]) as beyond, bus.subscribe("0") as all_kept:
        assert await take(edge, 10) == kept
        assert await take(beyond, 11) == ["Reset", *kept]
        assert await take(all_kept, 10) == kept


async def test_reset_beyond_the_age(ends: Ends) -> None:
    """A client that missed messages which are too old gets a reset, even if nothing is published after them."""
    bus = await ends(Retention(10_000, 1))
    ids = await publish(bus, "a", "b")
    await publish(await ends(), *range(3))
    await asyncio.sleep(1.1)  # until the messages are too old

    async with bus.subscribe(ids[0]) as beyond:
        assert await take(beyond, 1) == ["Reset"]
        await publish(bus, "new")
        assert await take(beyond, 1) == ["new"]


@pytest.mark.parametrize("after", ["abc123-5", "{epoch}-999"])
async def test_reset_of_a_foreign_id(ends: Ends, after: str) -> None:
    """An id of another log, or one that was never assigned, gets a reset and the kept messages."""
    bus = await ends()
    await publish(bus, "a")

    async with bus.subscribe(after.format(epoch=bus.epoch)) as items:
        assert await take(items, 2) == ["Reset", "a"]


async def test_listener_that_was_away_for_too_long(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """If more messages than are kept were published while a worker was held up, its clients get a reset."""
    held_up, busy = await ends(Retention(10, 3_600)), await ends(Retention(10, 3_600))
    await publish(busy, "before")
    async with held_up.subscribe("0") as items:
        assert await take(items, 1) == ["before"]
        read, held, goes_on = held_up.news, asyncio.Event(), asyncio.Event()

        async def news(after: int, limit: int) -> object:
            held.set()
            await goes_on.wait()
            return await read(after, limit)

        monkeypatch.setattr(held_up, "news", news)
        await held.wait()
        await publish(busy, *range(100))
        goes_on.set()

        assert await take(items, 11) == ["Reset", *map(str, range(90, 100))]


@pytest.mark.parametrize("text", ["x" * 100, "x" * (QUEUE_CHARACTERS // 100)])
async def test_slow_reader(ends: Ends, text: str) -> None:
    """A reader that lags behind by more than its queue, in messages or bytes, gets SlowReader; others read on."""
    bus = await ends()
    total = QUEUE_MESSAGES + 10
    async with bus.subscribe() as slow, bus.subscribe() as quick:
        reading = asyncio.create_task(take(quick, total))
        await publish(bus, *[text] * total)

        assert await reading == [text] * total
        with pytest.raises(SlowReader):
            await take(slow, 1)


@pytest.mark.parametrize(("count", "size"), [(256, 100), (128, 2_048)])
async def test_what_a_queue_holds(ends: Ends, count: int, size: int) -> None:
    """The queue of a reader holds 256 messages or 256 KiB, and one message more raises SlowReader."""
    bus = await ends()
    text = "x" * (size - len('{"text": ""}'))
    async with bus.subscribe() as full, bus.subscribe() as overfull:
        ids = await publish(bus, *[text] * count)
        await until(lambda: bus.last == bus.parse(ids[-1])[1])
        assert await take(full, count) == [text] * count
        ids = await publish(bus, text)
        await until(lambda: bus.last == bus.parse(ids[-1])[1])

        with pytest.raises(SlowReader):
            await take(overfull, 1)


async def test_listener_survives_anything(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error is logged, and the listener continues."""
    bus = await ends()
    read = type(bus).news
    failures = iter([ValueError("out of the blue"), KeyError("again")])

    async def news(self: Bus, after: int, limit: int) -> object:
        for error in failures:
            raise error
        return await read(self, after, limit)

    monkeypatch.setattr(type(bus), "news", news)
    async with bus.subscribe(beats=False) as items:
        await publish(bus, "a", "b")
        assert await take(items, 2) == ["a", "b"]


# A bus that is away


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    other = sqlite3.connect(folder / "bus.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def fails_in_time(bus: Bus, text: str) -> None:
    start = time.monotonic()
    with pytest.raises(Unavailable):
        await publish(bus, text)
    assert time.monotonic() - start < ANSWER_SECONDS


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[EmbeddedBus]:
    bus = EmbeddedBus(folder, KEEP)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


@pytest.mark.parametrize("own", [True, False], ids=["its own beats", "another worker's"])
async def test_beats_cost_no_read_of_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch, own: bool) -> None:
    """Beats alone, which tell the end of the embedded log, cause no read of it; a message is read at once."""
    reads = 0
    async with embedded(folder) as bus, embedded(folder) as other, bus.subscribe() as items:
        read = bus.read

        async def counted(after: int, limit: int) -> object:
            nonlocal reads
            reads += 1
            return await read(after, limit)

        monkeypatch.setattr(bus, "read", counted)
        beats, began = 0, time.monotonic()
        while time.monotonic() - began < 2.5 * LOOK_SECONDS:
            await (bus if own else other).beat("{}")
            assert await take(items, 1) == ["Beat"]
            beats += 1
        assert reads <= 1 < beats  # one if the machine stalled for LOOK_SECONDS
        await publish(other, "now")
        assert await take(items, 1) == ["now"]


@asynccontextmanager
async def connected(redis: Redis) -> AsyncIterator[RedisBus]:
    bus = RedisBus(redis.url, KEEP)
    await bus.start()
    try:
        yield bus
    finally:
        await bus.stop()


@pytest.mark.alone
async def test_locked_log(folder: Path) -> None:
    """While another process holds the log, publishing fails within two seconds, clients are told, and it recovers."""
    async with embedded(folder) as bus, bus.subscribe(beats=False) as items:
        await publish(bus, "before")
        assert await take(items, 1) == ["before"]
        with locked(folder):
            await asyncio.gather(*(fails_in_time(bus, "lost") for _ in range(20)))
            assert not bus.available
        await bus.beat("{}")
        await publish(bus, "after")

        assert await take_until(items, "after") == ["False", "True", "after"]


async def test_full_disk(disk: SmallDisk) -> None:
    """While the disk of the log is full, publishing fails in time, clients are told, and the bus recovers."""
    async with embedded(disk.path) as bus, bus.subscribe(beats=False) as items:
        await publish(bus, "before")
        disk.fill()
        with pytest.raises(Unavailable):
            await publish(bus, *["filling"] * 10_000)  # until the free space is used up
        await fails_in_time(bus, "lost" * 10_000)
        disk.free()
        await publish(bus, "after")

        taken = await take_until(items, "after")
        assert [text for text in taken if text not in ("before", "filling")] == ["False", "True", "after"]


async def test_full_redis(redis: Redis) -> None:
    """While Redis has no free memory, publishing fails in time, clients are told, and the bus recovers."""
    redis.command("FLUSHALL")
    async with connected(redis) as bus, bus.subscribe(beats=False) as items:
        await publish(bus, "before")
        assert await take(items, 1) == ["before"]
        redis.command("CONFIG SET maxmemory 1")
        try:
            await fails_in_time(bus, "lost")
        finally:
            redis.command("CONFIG SET maxmemory 0")
        await publish(bus, "after")

        assert await take_until(items, "after") == ["False", "True", "after"]


@pytest.mark.alone
async def test_stopped_redis() -> None:
    """While Redis is stopped, publishing fails in time and clients are told; failed commands are not executed later."""
    with servers.redis() as redis:
        async with connected(redis) as bus, bus.subscribe(beats=False) as items:
            await bus.beat("{}")
            await publish(bus, "before")
            assert await take(items, 1) == ["before"]
            redis.pause()
            for _ in range(2):
                await asyncio.gather(*(fails_in_time(bus, f"lost {number}") for number in range(20)))
            assert not bus.available
            redis.resume()
            await until(lambda: bus.readable)
            await bus.beat("{}")
            await publish(bus, "after")

            assert await take_until(items, "after") == ["False", "True", "after"]


@pytest.mark.parametrize("persistent", [True, False])
async def test_killed_redis(persistent: bool) -> None:
    """After a restart of a killed Redis clients go on; if the log is lost, they get a reset first."""
    with servers.redis(persistent=persistent) as redis:
        async with connected(redis) as one, connected(redis) as other, one.subscribe(beats=False) as items:
            ids = await publish(other, *range(20))
            assert await take(items, 20) == [*map(str, range(20))]
            await asyncio.to_thread(redis.kill)
            await fails_in_time(other, "lost")
            await asyncio.to_thread(redis.start)
            await until(lambda: one.readable and other.readable)
            await publish(other, "new")
            await one.beat("{}")

            told = ["False", "True"]
            taken = [text for text in await take_until(items, "new") if text not in told]
            assert taken == (["new"] if persistent else ["Reset", "new"])
            async with other.subscribe(ids[9], beats=False) as resumed:
                missed = [*map(str, range(10, 20)), "new"] if persistent else ["Reset", "new"]
                assert await take(resumed, len(missed)) == missed


async def test_redis_that_has_lost_the_end_of_its_log() -> None:
    """A Redis that comes back without its newest messages causes a reset, even if it continues the numbers."""
    with servers.redis() as redis:
        async with connected(redis) as bus, bus.subscribe(beats=False) as items:
            ids = await publish(bus, *range(10))
            await take(items, 10)
            epoch = bus.epoch
            redis.command("DEL", "{slipway}:log")
            redis.command("HSET", "{slipway}:state", "number", "5")
            await until(lambda: bus.epoch != epoch)
            await publish(bus, "new")

            assert await take(items, 2) == ["Reset", "new"]
            async with bus.subscribe(ids[7]) as resumed:
                assert await take(resumed, 2) == ["Reset", "new"]


async def test_redis_that_was_flushed() -> None:
    """A log that is emptied while the listener runs causes a reset too."""
    with servers.redis(persistent=False) as redis:
        async with connected(redis) as bus, bus.subscribe(beats=False) as items:
            await publish(bus, *range(10))
            await take(items, 10)
            redis.command("FLUSHALL")
            await publish(bus, *range(20, 40))

            assert await take(items, 21) == ["Reset", *map(str, range(20, 40))]


async def test_worker_that_is_killed_before_it_wakes_the_others(folder: Path) -> None:
    """A message without a wake-up, which was never sent or was dropped, is read within about a second."""
    async with embedded(folder) as bus, bus.subscribe(beats=False) as items:
        await publish(bus, "first")
        with sqlite3.connect(folder / "bus.db") as other:
            other.execute("INSERT INTO log (at, data) VALUES (?, ?)", (time.time(), '{"text":"silent"}'))
        other.close()

        start = time.monotonic()
        assert await take(items, 2) == ["first", "silent"]
        assert time.monotonic() - start < 2


async def test_beat_tells_of_a_message_without_a_wake_up(folder: Path) -> None:
    """Another worker's beat tells the new end of the embedded log, long before the next look."""
    async with embedded(folder) as bus, embedded(folder) as other, bus.subscribe() as items:
        await other.beat("{}")
        assert await take(items, 1) == ["Beat"]  # the last look was just now
        with sqlite3.connect(folder / "bus.db") as killed:
            killed.execute("INSERT INTO log (at, data) VALUES (?, ?)", (time.time(), '{"text":"silent"}'))
        killed.close()

        start = time.monotonic()
        await other.beat("{}")
        assert sorted(await take(items, 2)) == ["Beat", "silent"]
        assert time.monotonic() - start < LOOK_SECONDS / 2


async def test_socket_of_a_killed_worker(folder: Path) -> None:
    """The socket of a killed worker is removed, and disturbs no other worker."""
    gone = EmbeddedBus(folder, KEEP)
    await gone.start()
    path = gone._path
    gone._socket.close()
    async with embedded(folder) as bus, bus.subscribe(beats=False) as items:
        await publish(bus, "a")

        assert await take(items, 1) == ["a"]
        assert not path.exists()
    await gone.stop()


async def test_log_of_a_machine_that_has_started_anew(
    monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    """After a reboot the end of the log may be lost, so a new epoch begins."""
    async with embedded(folder) as bus:
        ids = await publish(bus, "a", "b")
    boot = tmp_path / "boot_id"
    boot.write_text("another")
    monkeypatch.setattr("app.services.embedded_schema.BOOT", boot)

    async with embedded(folder) as bus, bus.subscribe(ids[0]) as items:
        await publish(bus, "new")
        assert await take(items, 2) == ["Reset", "new"]

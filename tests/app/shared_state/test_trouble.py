"""Failing reads and malformed data on the bus, on both back ends: no client waits without being told."""

import asyncio
import json
import logging
import socket
import sqlite3
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.services.bus import Beat, Bus, Extract, Retention
from app.services.embedded_bus import EmbeddedBus
from app.services.errors import Full, Unavailable
from app.services.monitor import Monitor
from app.services.redis_bus import RedisBus
from tests.app.shared_state.test_bus import KEEP, Ends, ends, publish, shown, take, take_until, until
from tests.harness.at_once import coroutines_at_once
from tests.harness.processes import short_folder
from tests.harness.servers import Redis

__all__ = ["ends"]

SECONDS = 10.0
WAKE_SECONDS = 1.0

Read = Callable[[int, int], Awaitable[Extract]]
Fault = Callable[[Read, int, int], Awaitable[Extract]]


async def unavailable(read: Read, after: int, limit: int) -> Extract:
    raise Unavailable("not now")


async def full(read: Read, after: int, limit: int) -> Extract:
    raise Full("no room")


async def unforeseen(read: Read, after: int, limit: int) -> Extract:
    raise ValueError("out of the blue")


async def timed_out(read: Read, after: int, limit: int) -> Extract:
    raise TimeoutError


async def slow(read: Read, after: int, limit: int) -> Extract:
    await asyncio.sleep(1.5)
    return await read(after, limit)


async def slow_and_failing(read: Read, after: int, limit: int) -> Extract:
    await asyncio.sleep(1.5)
    raise Unavailable("not now")


async def hanging(read: Read, after: int, limit: int) -> Extract:
    await asyncio.sleep(3_600)
    raise AssertionError


async def of_another_epoch(read: Read, after: int, limit: int) -> Extract:
    extract = await read(after, limit)
    return Extract("another", 1, extract.newest, extract.messages)


FAULTS = [unavailable, full, unforeseen, timed_out, slow, slow_and_failing, hanging, of_another_epoch]


BACK_ENDS = ("embedded", "redis")

Taken = tuple[float, list[str]]
"""The seconds until the first item, and all items."""


@pytest.fixture(scope="module", params=[1, 2, pytest.param(4, marks=pytest.mark.suite)])
def taken(request: pytest.FixtureRequest, redis: Redis) -> dict[tuple[str, Fault], "Future[Taken]"]:
    """The items that a client takes when this number of its reads fails, for each fault on a bus of its own."""
    redis.command("FLUSHALL")
    cases: dict[tuple[str, Fault], Callable[[], Coroutine[object, object, Taken]]] = {}
    for number, fault in enumerate(FAULTS, 1):
        url = redis.url.removesuffix("/0") + f"/{number}"
        cases["embedded", fault] = partial(_embedded, fault, request.param)
        cases["redis", fault] = partial(_catch_up, RedisBus(url, KEEP), fault, request.param)
    return coroutines_at_once(cases)


async def _embedded(fault: Fault, times: int) -> Taken:
    with short_folder() as folder:
        return await _catch_up(EmbeddedBus(folder, KEEP), fault, times)


async def _catch_up(bus: Bus, fault: Fault, times: int) -> Taken:
    await bus.start()
    try:
        ids = await publish(bus, *range(100))
        await until(lambda: bus.last == bus.parse(ids[-1])[1])
        setattr(bus, "read", _failing(bus, fault, times))  # noqa: B010 (mypy lets no method be assigned)
        start = time.monotonic()
        async with bus.subscribe(ids[9], beats=False) as items:
            taken = await take(items, 1)
            seconds = time.monotonic() - start
            async with asyncio.timeout(30):
                while taken[-1] != "99":
                    taken.append(shown(await anext(items)))
        return seconds, taken
    finally:
        await bus.stop()


def _failing(bus: Bus, fault: Fault, times: int) -> Read:
    """Return a `read` that fails this often for clients only: the listener reads on, so the bus stays available."""
    read, faults = bus.read, iter([fault] * times)

    async def failing(after: int, limit: int) -> Extract:
        if asyncio.current_task() is bus._listener.task:
            return await read(after, limit)
        for one in faults:
            return await one(read, after, limit)
        return await read(after, limit)

    return failing


@pytest.mark.timeout(120)
@pytest.mark.parametrize("back_end", BACK_ENDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_catch_up_read_that_fails(taken: dict[tuple[str, Fault], "Future[Taken]"], back_end: str, fault: Fault) -> None:
    """A client whose catch-up reads fail gets its messages, or the bus's state, within a second."""
    seconds, items = taken[back_end, fault].result()

    assert seconds < WAKE_SECONDS
    assert [text for text in items if text not in ("True", "False")] == [*map(str, range(10, 100))]
    told = [text for text in items if text in ("True", "False")]
    assert told == ["False", "True"] * (len(told) // 2)


async def test_client_that_leaves_while_it_waits(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ended between two attempts is not woken again."""
    bus = await ends()
    ids = await publish(bus, "a", "b")
    await until(lambda: bus.last == bus.parse(ids[-1])[1])
    woken = []
    monkeypatch.setattr(bus, "read", lambda after, limit: unavailable(bus.read, after, limit))
    subscription = bus.attach(ids[0], lambda: woken.append(1))
    assert [item async for item in subscription.take()] == []
    bus.detach(subscription)
    count = len(woken)
    await asyncio.sleep(0.7)  # longer than the pause between two attempts

    assert len(woken) == count


# Malformed data

OLD_BEAT = {"slot": 7, "pid": 1, "requests": 1, "rate": 1.0, "connections": 1, "memory": 1, "lag": 0.1, "since": "now"}
BEAT = {**OLD_BEAT, "p50": 0.001, "p99": 0.5, "reloads": 2}


def changed(**fields: object) -> bytes:
    return json.dumps({**BEAT, **fields}).encode()


ODD_BEATS = {
    "no JSON": b"hello",
    "no UTF-8": b"\xff\xfe{}",
    "null": b"null",
    "number": b"1",
    "text": b'"slot"',
    "list": b'[{"slot": 1}]',
    "no fields": b"{}",
    "one field": b'{"slot":1}',
    "another version": json.dumps({"worker": 1, "load": 0.5}).encode(),
    "slot is a text": changed(slot="1"),
    "slot is a list": changed(slot=[1]),
    "slot is a bool": changed(slot=True),
    "slot is negative": changed(slot=-1),
    "pid is null": changed(pid=None),
    "pid is an object": changed(pid={}),
    "requests are infinite": changed(requests=float("inf")),
    "rate is no number": changed(rate=float("nan")),
    "memory is huge": changed(memory=10**400),
    "since is long": changed(since="x" * 1_000),
    "since is an object": changed(since={"a": 1}),
    "p50 is a text": changed(p50="fast"),
    "p99 is no number": changed(p99=float("nan")),
    "reloads are negative": changed(reloads=-1),
    "reloads are a list": changed(reloads=[]),
    "deep": b"[" * 4_000,
    "huge": b'{"slot": "' + b"x" * 60_000 + b'"}',
    "twice": b'{"slot":1,"slot":{},"pid":1}',
    "digits": b"9" * 4_096,
}
ODD_MESSAGES = {
    **{name: text for name, text in ODD_BEATS.items() if text.startswith((b"h", b"n", b'"', b"1", b"[", b"\xff"))},
    "empty": b"",
    "empty object": b"{}",
    "an id": b'{"id":"x-1","text":"forged"}',
    "NaN": b'{"text":NaN}',
    "cut": b'{"text":"a',
    "more behind": b'{"text":"a"} {"text":"b"}',
    "space before": b' {"text":"a"}',
    "huge": b'{"text":"' + b"x" * 600_000 + b'"}',
}


def send_beat(bus: Bus, folder: Path, redis: Redis | None, data: bytes) -> None:
    """Send a beat as another program would."""
    if isinstance(bus, EmbeddedBus):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.sendto(data, str(bus._path))
        return
    assert redis is not None
    with redis.client() as client:
        client.xadd("{slipway}:beats", {"data": data})


def write_message(bus: Bus, folder: Path, redis: Redis | None, data: bytes) -> None:
    """Append a message to the log as another program would."""
    if isinstance(bus, EmbeddedBus):
        with sqlite3.connect(folder / "bus.db") as other:
            other.execute("INSERT INTO log (at, data) VALUES (?, CAST(? AS TEXT))", (time.time(), data))
        other.close()
        return
    assert redis is not None
    with redis.client() as client:
        newest = client.xinfo_stream("{slipway}:log")["last-generated-id"].partition(b"-")[0]
        number = int(newest) + 1
        client.hset("{slipway}:state", "number", number)
        client.xadd("{slipway}:log", {"at": int(time.time() * 1_000), "data": data}, id=f"{number}-0")


class Counted:
    total = 1
    active = 0
    reloads = None

    def durations(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return (), ()


@pytest.fixture
def redis_of(request: pytest.FixtureRequest, ends: Ends) -> Redis | None:
    return request.getfixturevalue("redis") if "redis" in request.node.name.split("[")[1] else None


def others(monitor: Monitor) -> list[dict[str, Any]]:
    """Return the beats of other workers: the monitor's own slot is 0, and its own beat may come first."""
    return [beat for beat in monitor.workers() if beat["slot"] != 0]


@pytest.mark.parametrize("data", ODD_BEATS.values(), ids=ODD_BEATS)
async def test_beat_of_another_shape(
    ends: Ends, folder: Path, redis_of: Redis | None, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    """A malformed beat is ignored and logged once, and the next valid one is taken."""
    bus = await ends()
    monitor = Monitor(bus, Counted(), 0)
    running = asyncio.create_task(monitor.run())
    try:
        await until(lambda: bus._feed.subscriptions)
        for _ in range(3):
            send_beat(bus, folder, redis_of, data)
        send_beat(bus, folder, redis_of, changed())
        await until(lambda: others(monitor))

        assert [beat["slot"] for beat in others(monitor)] == [7]
        assert not running.done()
        assert [record.levelno for record in caplog.records if record.name == "app.monitor"] == [logging.WARNING]
        assert bus.available
    finally:
        running.cancel()
        await asyncio.wait({running})


@pytest.mark.parametrize(
    ("data", "heard"),
    [
        (changed(more="x"), BEAT),
        (json.dumps(OLD_BEAT).encode(), {**OLD_BEAT, "p50": None, "p99": None, "reloads": None}),
    ],
    ids=["later", "earlier"],
)
async def test_beat_of_another_version(ends: Ends, data: bytes, heard: object) -> None:
    """A beat with additional fields, or without the newest ones, is accepted: during a deploy both versions run."""
    bus = await ends()
    monitor = Monitor(bus, Counted(), 0)
    running = asyncio.create_task(monitor.run())
    try:
        await until(lambda: bus._feed.subscriptions)
        await bus.beat(data.decode())
        await until(lambda: others(monitor))

        assert others(monitor) == [heard]
    finally:
        running.cancel()
        await asyncio.wait({running})


@pytest.mark.parametrize("data", ODD_MESSAGES.values(), ids=ODD_MESSAGES)
async def test_message_of_another_shape(
    ends: Ends, folder: Path, redis_of: Redis | None, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    """A malformed message is skipped and logged once; those before and after it arrive, live and when resuming."""
    bus = await ends()
    (first,) = await publish(bus, "first")
    async with bus.subscribe(first, beats=False) as items:
        for _ in range(3):
            write_message(bus, folder, redis_of, data)
        _, newest = await publish(bus, "a", "b")

        assert await take(items, 2) == ["a", "b"]
    async with bus.subscribe(first, beats=False) as again, bus.subscribe("0", beats=False) as beginning:
        assert await take(again, 2) == ["a", "b"]
        assert await take(beginning, 3) == ["first", "a", "b"]
    await until(lambda: bus.last == bus.parse(newest)[1])
    assert len([record for record in caplog.records if "shape" in record.getMessage()]) == 1


async def test_entries_that_are_no_messages(redis: Redis) -> None:
    """Entries of a Redis stream without our ids or fields neither stop the listener nor make it spin."""
    redis.command("FLUSHALL")
    bus = RedisBus(redis.url, Retention(100, 60))
    await bus.start()
    try:
        async with bus.subscribe(beats=False) as items:
            await publish(bus, "first")
            assert await take(items, 1) == ["first"]
            redis.command("XADD {slipway}:log 1-7 a b")
            redis.command("XADD {slipway}:log 2-0 a b")
            redis.command("XADD {slipway}:beats * a b c d")
            before = number_of_commands(redis)
            await asyncio.sleep(1)  # the commands of an idle listener are counted
            assert number_of_commands(redis) - before < 100
            await publish(bus, "second")
            assert (await take_until(items, "second"))[-1] == "second"
    finally:
        await bus.stop()


def number_of_commands(redis: Redis) -> int:
    with redis.client() as client:
        return int(client.info("stats")["total_commands_processed"])


class Failing(Monitor):
    """A monitor that fails in its first beats."""

    failures = 3

    def _beat(self, lag: float) -> dict[str, object]:
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError
        return super()._beat(lag)


async def test_monitor_never_ends(
    ends: Ends, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error in the monitor is logged once, and the monitor continues."""
    monkeypatch.setattr("app.services.monitor.BEAT_SECONDS", 0.01)
    monkeypatch.setattr("app.services.monitor.AGAIN_SECONDS", 0.01)
    bus = await ends()
    monitor = Failing(bus, Counted(), 3)
    running = asyncio.create_task(monitor.run())
    try:
        await until(lambda: monitor.workers())

        assert [beat["slot"] for beat in monitor.workers()] == [3]
        assert len([record for record in caplog.records if record.name == "app.monitor"]) == 1
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_beats_of_workers_without_end(ends: Ends) -> None:
    """The beats of any number of new workers take bounded memory."""
    bus = await ends()
    monitor = Monitor(bus, Counted(), 0)
    for pid in range(10_000):
        monitor._hear(Beat(changed(slot=None, pid=pid).decode()))

    assert len(monitor.workers()) <= 4_096

"""The bus of one machine: one order for all, nothing twice, nothing missing, and a word for what is not kept."""

import asyncio
import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.services import bus as bus_module
from app.services import embedded_bus
from app.services.bus import Beat, Item, Keep, Message, Queue, Reset, SlowReader
from app.services.embedded_bus import TRIM_EVERY, EmbeddedBus
from app.services.errors import BadCursor, Unavailable

SECONDS = 5.0
ROOT = Path(__file__).parents[2]

Open = Callable[[Keep], Awaitable[EmbeddedBus]]


@pytest.fixture
async def opened(folder: Path) -> AsyncIterator[Open]:
    """Opens the bus of this process with a given keep."""
    async with AsyncExitStack() as stack:

        async def open_bus(keep: Keep) -> EmbeddedBus:
            bus = EmbeddedBus(folder, keep)
            await bus.start()
            stack.push_async_callback(bus.stop)
            return bus

        yield open_bus


@pytest.fixture
async def bus(opened: Open) -> EmbeddedBus:
    return await opened(Keep(10_000, 3_600))


def append(folder: Path, text: str, at: float | None = None) -> None:
    """What another worker publishes, of whose wake-up nothing has been heard yet."""
    with sqlite3.connect(folder / "bus.db") as database:
        moment = time.time() if at is None else at
        database.execute("INSERT INTO log (at, data) VALUES (?, ?)", (moment, f'{{"text":"{text}"}}'))
    database.close()


def sockets(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.suffix == ".sock"]


async def take(items: AsyncIterator[Item], count: int) -> list[str]:
    """The texts of the next items, a reset as "reset"."""
    texts: list[str] = []
    async with asyncio.timeout(SECONDS):
        while len(texts) < count:
            item = await anext(items)
            if isinstance(item, Message):
                texts.append(json.loads(item.json())["text"])
            else:
                texts.append("reset" if isinstance(item, Reset) else item.data)
    return texts


async def publish(bus: EmbeddedBus, *texts: object) -> list[str]:
    return [await bus.publish(f'{{"text":"{text}"}}') for text in texts]


async def test_order(bus: EmbeddedBus) -> None:
    """What is published is read in the order of its ids, by everyone."""
    async with bus.subscribe() as first, bus.subscribe() as second:
        ids = await publish(bus, "a", "b", "c")

        assert await take(first, 3) == await take(second, 3) == ["a", "b", "c"]
    assert [bus.parse(text) for text in ids] == [(1,), (2,), (3,)]


async def test_message_has_its_id(bus: EmbeddedBus) -> None:
    """A message's JSON begins with the id that publishing gave."""
    async with bus.subscribe() as items:
        (number,) = await publish(bus, "a")
        message = await anext(items)

    assert isinstance(message, Message)
    assert message.json() == f'{{"id":"{number}","text":"a"}}'


async def test_without_an_id_only_what_comes(bus: EmbeddedBus) -> None:
    """Whoever does not resume gets what is published from now on."""
    async with bus.subscribe() as before:
        await publish(bus, "old")
        await take(before, 1)

    async with bus.subscribe() as items:
        await publish(bus, "new")
        assert await take(items, 1) == ["new"]


async def test_replay(bus: EmbeddedBus) -> None:
    """Whoever resumes gets first what he missed, then what comes, more of it than one read brings."""
    count = bus_module.REPLAY_BATCH + 10
    ids = await publish(bus, *range(count))

    async with bus.subscribe(ids[2]) as items:
        await publish(bus, "new")
        assert await take(items, count - 2) == [*map(str, range(3, count)), "new"]


async def test_resume_from_the_newest(bus: EmbeddedBus) -> None:
    """Whoever has missed nothing is replayed nothing and told of no reset."""
    (newest,) = await publish(bus, "a")

    async with bus.subscribe(newest) as items:
        await publish(bus, "b")
        assert await take(items, 1) == ["b"]


async def test_no_double_while_the_listener_lags(bus: EmbeddedBus, folder: Path) -> None:
    """A message that the client has seen at another worker does not come again when this one hears of it."""
    append(folder, "seen")

    async with bus.subscribe("1") as items:
        await publish(bus, "new")
        assert await take(items, 1) == ["new"]


async def test_no_gap_around_subscribing(bus: EmbeddedBus) -> None:
    """Subscribing while others publish loses nothing and doubles nothing, wherever it happens."""
    total = 200
    texts = [str(number) for number in range(total)]
    (start,) = await publish(bus, "start")

    async def read_from(number: int) -> list[str]:
        async with bus.subscribe(start) as items:
            await take(items, number)
        async with bus.subscribe(start) as items:
            return await take(items, total)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        readers = [group.create_task(read_from(number)) for number in range(0, total, 7)]
        group.create_task(publish(bus, *texts))

    assert all(reader.result() == texts for reader in readers)


@pytest.mark.parametrize(
    ("after", "read"),
    [
        (54, ["55", "56"]),
        (63, ["64", "new"]),
        (64, ["new"]),
        (0, ["55", "56"]),
        (53, ["reset", "55", "56"]),
        (1, ["reset", "55", "56"]),
    ],
)
async def test_reset_beyond_what_is_kept(opened: Open, after: int, read: list[str]) -> None:
    """Whoever missed what is no longer kept is told so, then gets what is; 0 asks for just that."""
    bus = await opened(Keep(10, 3_600))
    await publish(bus, *range(1, TRIM_EVERY + 1))

    async with bus.subscribe(str(after)) as items:
        await publish(bus, "new")
        assert await take(items, len(read)) == read


async def test_reset_of_an_id_that_was_never_given(bus: EmbeddedBus) -> None:
    """Whoever resumes from a log that is lost is told so, and gets what comes."""
    async with bus.subscribe("999") as items:
        await publish(bus, "new")
        assert await take(items, 2) == ["reset", "new"]


async def test_reset_of_what_is_too_old(opened: Open, folder: Path) -> None:
    """Messages are also forgotten by age."""
    bus = await opened(Keep(10_000, 60))
    append(folder, "old", time.time() - 61)
    await publish(bus, *range(TRIM_EVERY))

    async with bus.subscribe("0") as items:
        assert await take(items, 1) == ["0"]


async def test_ids_go_on_when_all_is_forgotten(opened: Open, folder: Path) -> None:
    """An id is never given twice, also when the log is empty."""
    bus = await opened(Keep(10_000, 3_600))
    await publish(bus, "a", "b")
    with sqlite3.connect(folder / "bus.db") as database:
        database.execute("DELETE FROM log")
    database.close()

    async with bus.subscribe("1") as items:
        assert await publish(bus, "c") == ["3"]
        assert await take(items, 2) == ["reset", "c"]


@pytest.mark.parametrize("text", ["", "-1", "1.0", "x", "1 ", "²", "\u0661", "9" * 19, "1-0"])
async def test_bad_cursor(bus: EmbeddedBus, text: str) -> None:
    """A text that is no id raises BadCursor before anything is read."""
    with pytest.raises(BadCursor):
        async with bus.subscribe(text):
            pass


async def test_slow_reader(bus: EmbeddedBus) -> None:
    """A reader that lags behind by more than its queue holds is told so; the others are not held up."""
    count = bus_module.QUEUE_MESSAGES + 1

    async with bus.subscribe() as slow, bus.subscribe() as quick:
        reading = asyncio.ensure_future(take(quick, count))
        await publish(bus, *range(count))
        assert len(await reading) == count
        with pytest.raises(SlowReader):
            await take(slow, 1)


async def test_queue_is_bounded_by_bytes() -> None:
    """Large messages fill a queue before their number does."""
    queue = Queue()
    size = bus_module.QUEUE_BYTES // 2
    for number in range(3):
        queue.put(Message(str(number), (number,), "x" * size))

    with pytest.raises(SlowReader):
        await queue.get()


async def test_queue_has_room_again() -> None:
    """What has been read takes no room."""
    queue = Queue()
    for number in range(1_000):
        queue.put(Message(str(number), (number,), "x" * (bus_module.QUEUE_BYTES // 2)))
        item = await queue.get()
        assert isinstance(item, Message)
        assert item.id == str(number)


async def test_beats_are_not_kept(bus: EmbeddedBus) -> None:
    """A beat reaches who listens, and is no part of the log."""
    async with bus.subscribe() as items:
        await bus.beat('{"slot":1}')
        item = await anext(items)
        assert item == Beat('{"slot":1}')
        await publish(bus, "a")
        assert await take(items, 1) == ["a"]

    async with bus.subscribe("0") as items:
        assert await take(items, 1) == ["a"]


async def test_full_socket_delays_nothing(bus: EmbeddedBus, folder: Path) -> None:
    """A worker that does not read its wake-ups holds no publisher up, and its socket stays."""
    path = folder / "bus-1.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stuck:
        stuck.bind(str(path))
        async with bus.subscribe() as items:
            await publish(bus, *range(50))
            assert len(await take(items, 50)) == 50
        assert path.exists()


async def test_socket_of_a_killed_worker_is_removed(bus: EmbeddedBus, folder: Path) -> None:
    """What a killed worker left behind is cleared away by the next message."""
    path = folder / "bus-1.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        dead.bind(str(path))
    await publish(bus, "a")

    assert not path.exists()


async def test_stop_removes_the_socket(folder: Path) -> None:
    """A worker that stops leaves no socket, and nothing running."""
    before = asyncio.all_tasks()
    bus = EmbeddedBus(folder, Keep(1, 1))
    await bus.start()
    assert sockets(folder) == [f"bus-{os.getpid()}.sock"]
    await bus.stop()

    assert sockets(folder) == []
    assert asyncio.all_tasks() == before


async def test_locked_log_is_unavailable(folder: Path, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another process holds the file a publisher is told so in bounded time, and can try again."""
    monkeypatch.setattr(embedded_bus, "BUSY_TIMEOUT_SECONDS", 0.05)
    bus = await opened(Keep(10, 60))
    other = sqlite3.connect(folder / "bus.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(Unavailable):
        await publish(bus, "a")

    other.execute("ROLLBACK")
    other.close()
    assert await publish(bus, "a") == ["1"]


async def test_log_that_is_away_at_the_start(folder: Path) -> None:
    """A bus that can't be opened is not available; it is no failure, and it comes back by itself."""
    obstacle = folder / "bus.db"
    obstacle.mkdir()
    bus = EmbeddedBus(folder, Keep(10, 60))

    def available() -> bool:
        return bus.available

    await bus.start()
    try:
        assert not available()
        with pytest.raises(Unavailable):
            await publish(bus, "a")
        obstacle.rmdir()
        async with asyncio.timeout(SECONDS), bus.subscribe() as items:
            while not available():
                await bus.beat("{}")
                await asyncio.sleep(0.01)
            await publish(bus, "a")
            while await take(items, 1) != ["a"]:
                pass
    finally:
        await bus.stop()


async def test_resume_before_the_listener_knows_its_place(folder: Path) -> None:
    """Nobody resumes while the listener has no place in the log yet: what lies between the two would be lost."""
    bus = EmbeddedBus(folder, Keep(10, 60))
    try:
        await publish(bus, "a", "b")
        with pytest.raises(Unavailable):
            async with bus.subscribe("1") as items:
                await take(items, 1)
    finally:
        await bus.stop()


async def test_several_processes(folder: Path) -> None:
    """Processes that publish at the same time all read one order, in which each one's own messages keep theirs."""
    names, each = ("a", "b", "c"), 60
    peers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.services.bus_peer", str(folder), name, str(each), str(each * len(names))),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for name in names
    ]
    async with asyncio.timeout(30):
        for peer in peers:
            assert peer.stdout is not None
            assert await peer.stdout.readline() == b"ready\n"
        outputs = await asyncio.gather(*(peer.communicate(b"go\n") for peer in peers))

    assert [peer.returncode for peer in peers] == [0, 0, 0]
    assert outputs[0] == outputs[1] == outputs[2]
    read = [json.loads(line) for line in outputs[0][0].splitlines()]
    assert [int(message["id"]) for message in read] == list(range(1, each * len(names) + 1))
    for name in names:
        own = [message["text"] for message in read if message["text"].startswith(name)]
        assert own == [f"{name} {number}" for number in range(each)]

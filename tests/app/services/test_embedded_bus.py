"""The bus of one machine, which needs nothing else. tests/app/shared_state tests the promises of both back ends."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.services.bus import Beat, Item, Message, Retention
from app.services.embedded_bus import EmbeddedBus
from app.services.errors import BadCursor

SECONDS = 5.0
ROOT = Path(__file__).parents[3]

Open = Callable[[], Awaitable[EmbeddedBus]]


@pytest.fixture
async def opened(folder: Path) -> AsyncIterator[Open]:
    """Yield a function that opens the bus for one more worker."""
    async with AsyncExitStack() as stack:

        async def open_bus() -> EmbeddedBus:
            bus = EmbeddedBus(folder, Retention(10_000, 3_600))
            await bus.start()
            stack.push_async_callback(bus.stop)
            return bus

        yield open_bus


@pytest.fixture
async def bus(opened: Open) -> EmbeddedBus:
    return await opened()


async def publish(bus: EmbeddedBus, *texts: object) -> list[str]:
    return [await bus.publish(f'{{"text":"{text}"}}') for text in texts]


async def take(items: AsyncIterator[Item], count: int) -> list[str]:
    """Return the texts of the next messages, and the type's name of any other item."""
    texts: list[str] = []
    async with asyncio.timeout(SECONDS):
        while len(texts) < count:
            item = await anext(items)
            texts.append(json.loads(item.json)["text"] if isinstance(item, Message) else type(item).__name__)
    return texts


def sockets(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix == ".sock"]


async def test_message_has_its_id(bus: EmbeddedBus) -> None:
    """A message's JSON begins with the id that publishing gave."""
    async with bus.subscribe() as items:
        (identity,) = await publish(bus, "a")
        async with asyncio.timeout(SECONDS):
            message = await anext(items)

    assert isinstance(message, Message)
    assert message.json == f'{{"id":"{identity}","text":"a"}}'


async def test_without_an_id_only_what_comes(bus: EmbeddedBus) -> None:
    """A client that does not resume gets messages published from now on."""
    async with bus.subscribe() as before:
        await publish(bus, "old")
        await take(before, 1)

    async with bus.subscribe() as items:
        await publish(bus, "new")
        assert await take(items, 1) == ["new"]


async def test_resume_from_the_newest(bus: EmbeddedBus) -> None:
    """A client that has missed nothing gets no replay and no reset, also right after it has published."""
    (newest,) = await publish(bus, "a")

    async with bus.subscribe(newest) as items:
        await publish(bus, "b")
        assert await take(items, 1) == ["b"]


async def test_no_double_while_the_listener_lags(bus: EmbeddedBus, opened: Open) -> None:
    """A message that the client has seen at another worker is not repeated when this worker receives it."""
    other = await opened()
    (seen,) = await publish(other, "seen")

    async with bus.subscribe(seen) as items:
        await publish(bus, "new")
        assert await take(items, 1) == ["new"]


async def test_no_gap_around_subscribing(bus: EmbeddedBus) -> None:
    """Subscribing while others publish loses no message and repeats none, at any moment."""
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


@pytest.mark.parametrize("text", ["", "1", "-1", "1.0", "x", "a-", "a-1 ", "A-1", "a-\u00b2", "a-" + "9" * 19, "a-1-0"])
async def test_bad_cursor(bus: EmbeddedBus, text: str) -> None:
    """A text that is no id raises BadCursor before the log is read."""
    with pytest.raises(BadCursor):
        async with bus.subscribe(text):
            pass


async def test_beats_are_not_kept(bus: EmbeddedBus) -> None:
    """A beat reaches the subscribers that want beats, and is not kept in the log."""
    async with bus.subscribe() as items, bus.subscribe(beats=False) as deaf:
        await bus.beat('{"slot":1}')
        async with asyncio.timeout(SECONDS):
            assert await anext(items) == Beat('{"slot":1}')
        await publish(bus, "a")
        assert await take(items, 1) == await take(deaf, 1) == ["a"]

    async with bus.subscribe("0") as items:
        assert await take(items, 1) == ["a"]


async def test_full_socket_delays_nothing(bus: EmbeddedBus, folder: Path) -> None:
    """A worker that does not read its wake-ups delays no publisher, and its socket is not removed."""
    path = folder / "bus-1.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stuck:
        stuck.bind(str(path))
        async with bus.subscribe() as items:
            await publish(bus, *range(50))
            assert len(await take(items, 50)) == 50
        assert path in sockets(folder)


async def test_stop_removes_the_socket(folder: Path) -> None:
    """A worker that stops leaves no socket and no running task."""
    before = asyncio.all_tasks()
    bus = EmbeddedBus(folder, Retention(1, 1))
    await bus.start()
    assert len(sockets(folder)) == 1
    await bus.stop()

    assert sockets(folder) == []
    assert asyncio.all_tasks() == before


async def test_log_that_is_away_at_the_start(folder: Path) -> None:
    """A bus that can't be opened is unavailable and raises no error, and it recovers by itself."""
    obstacle = folder / "bus.db"
    obstacle.mkdir()
    bus = EmbeddedBus(folder, Retention(10, 60))

    def available() -> bool:
        return bus.available

    await bus.start()
    try:
        assert not available()
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


async def test_several_processes(folder: Path) -> None:
    """Processes that publish at the same time read the same order, in which each one's messages keep theirs."""
    names, each = ("a", "b", "c"), 60
    peers = [
        await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "tests.app.services.bus_peer",
                str(folder),
                name,
                str(each),
                str(each * len(names)),
            ),
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
    assert len({message["id"] for message in read}) == each * len(names)
    for name in names:
        own = [message["text"] for message in read if message["text"].startswith(name)]
        assert own == [f"{name} {number}" for number in range(each)]


TAKES: list[Callable[[int], bool]] = [
    lambda number: True,
    lambda number: False,
    lambda number: number % 3 > 0,
    lambda number: number > 10,
    lambda number: number < 5,
]


@pytest.mark.parametrize("takes", TAKES, ids=["all", "none", "two of three", "late", "early"])
async def test_order_of_what_is_taken_at_once(bus: EmbeddedBus, takes: Callable[[int], bool]) -> None:
    """A connection that takes some messages at once and leaves others in its queue sees all of them in order."""
    seen: list[str] = []
    woken = asyncio.Event()

    def now(message: Message) -> bool:
        number = int(json.loads(message.json)["text"])
        if takes(number):
            seen.append(message.json)
        return takes(number)

    subscription = bus.attach(None, woken.set, now=now)
    for number in range(20):
        await publish(bus, number)
    async with asyncio.timeout(SECONDS):
        while len(seen) < 20:
            if bus.last >= 20 or woken.is_set():
                seen += [item.json async for item in subscription.take() if isinstance(item, Message)]
            await asyncio.sleep(0)
    bus.detach(subscription)

    assert [json.loads(line)["text"] for line in seen] == [str(number) for number in range(20)]

"""The chat over the real stack: every message reaches every client once and in order, whatever is killed meanwhile."""

import asyncio
from collections.abc import Callable

from tests.app.shared_state.conftest import Start
from tests.app.shared_state.stacks import Stack, create, new_name, on_servers
from tests.harness import servers
from tests.harness.chat import Client
from tests.harness.client import Address, EventStream
from tests.harness.processes import until
from tests.harness.stack import behind_nginx, serving
from tests.promises.chat import Talk, through
from tests.promises.talk import restarted, talk

SIZE = Talk(20, 2_000, 50)
ANSWER_SECONDS = 2.0  # within which a publisher is told that the bus is away
HEAL_SECONDS = 5.0


async def test_nothing_is_lost(stack: Stack) -> None:
    """A killed worker, a reload and a reload of nginx lose and repeat none of 2,000 messages for 20 clients."""
    faults = [stack.kill_worker, stack.reload, stack.reload_nginx]

    row, result = await through(faults, [stack.address], SIZE)

    assert row.kept, row
    assert result.resets == 0
    assert sum(seen.connects for seen in result.seen) > 2 * SIZE.clients


async def test_nothing_is_lost_while_the_bus_takes_nothing(stack: Stack) -> None:
    """While the log is locked or Redis stopped for some seconds, clients stay, are told, and lose no message."""
    await through_an_absence(stack, stack.bus.pause, stack.bus.resume)


@on_servers
async def test_nothing_is_lost_when_redis_is_killed(stack: Stack) -> None:
    """While Redis is killed and, some seconds later, restarted, clients stay, are told, and lose no message."""
    assert stack.redis is not None
    await through_an_absence(stack, stack.redis.kill, stack.redis.start)


async def through_an_absence(stack: Stack, leave: Callable[[], None], come_back: Callable[[], None]) -> None:
    """Check an absence of the bus: readiness names only the bus, users can be created, and all recovers by itself."""
    statuses = []

    async def absence() -> None:
        await asyncio.to_thread(leave)
        try:
            await until_failing(stack, {"bus"}, 10)
            statuses.append((await stack.create(new_name())).status)
            await asyncio.sleep(3)  # how long the bus is away
        finally:
            await asyncio.to_thread(come_back)
        await until_failing(stack, set(), HEAL_SECONDS)

    row, result = await through([absence], [stack.address], SIZE)

    assert row.kept, row
    assert result.resets == 0
    assert all(seen.connects == 1 and False in seen.bus and seen.bus[-1] for seen in result.seen), result
    assert 0 < result.slowest_refusal < ANSWER_SECONDS, result.slowest_refusal
    assert statuses == [201]


@on_servers
async def test_two_machines(machines: list[Address]) -> None:
    """Clients of two machines hear everything said at either, in one order, and a name is given once."""
    row, result = await through([], machines, SIZE)
    name = new_name()
    created = [await create(address, name) for address in machines]

    assert row.kept, row
    assert result.resets == 0
    assert [answer.status for answer in created] == [201, 409]


async def test_event_stream_is_told(stack: Stack) -> None:
    """A reader of the event stream stays connected while the bus is away, and is told when it goes and returns."""
    stream = await EventStream.open(stack.address)
    await stream.until("event: worker")
    await asyncio.to_thread(stack.bus.pause)
    try:
        away = await stream.until('{"available":false}')
    finally:
        await asyncio.to_thread(stack.bus.resume)
    await stream.until('{"available":true}')
    await stream.close()

    assert 'event: bus\ndata: {"available":false}' in away


async def test_kept_messages(start: Start) -> None:
    """A client that missed more than KEEP_MESSAGES messages gets a reset first, then that number of messages."""
    stack = start(KEEP_MESSAGES="10")
    ann = Client(stack.address, "ann", [str(number) for number in range(30)])
    await run(ann, lambda: ann.done)
    epoch, _, _ = (ann.after or "").partition("-")
    bob = Client(stack.address, "bob", keep_texts=True)
    bob.after = f"{epoch}-1"
    await run(bob, lambda: bob.after == ann.after)

    assert bob.seen.resets == 1
    assert bob.seen.texts == [str(number) for number in range(20, 30)]


async def test_redis_that_forgets() -> None:
    """If a Redis without persistence is killed and restarted, every client gets a reset and continues."""
    with (
        servers.redis(persistent=False) as redis,
        serving(workers=2, BUS_URL=redis.url) as server,
        behind_nginx(server) as nginx,
    ):
        result = await talk([nginx.address], SIZE.clients, 500, [restarted(redis)], SIZE.seconds)

        assert (result.lost, result.doubled) == (0, 0)
        assert [seen.resets for seen in result.seen] == [1] * SIZE.clients


async def run(client: Client, ends: Callable[[], bool]) -> None:
    """Run a client of the chat until the condition is true."""
    running = asyncio.create_task(client.run())
    await until(ends, SIZE.seconds)
    client.close()
    await running


async def until_failing(stack: Stack, names: set[str], seconds: float) -> None:
    """Wait until exactly these dependencies fail."""
    async with asyncio.timeout(seconds):
        while await stack.failing() != names:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.1)

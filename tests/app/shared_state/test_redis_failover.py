"""Redis fails over behind a name: within 5 s of the change all messages are there, or a reset tells of the loss."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis as RedisClient

from app.services.bus import Message, Reset, Retention
from app.services.errors import Unavailable
from app.services.redis_bus import RedisBus
from tests.app.shared_state.stacks import Backend, LocalStack
from tests.harness import servers
from tests.harness.chat import Client
from tests.harness.names import MovingName
from tests.harness.processes import free_ports, until
from tests.harness.servers import Redis, RedisPair
from tests.harness.stack import LITERAL, behind_nginx, serving
from tests.harness.walks import walk
from tests.promises.talk import Result, talk

HEAL_SECONDS = 5.0
CLIENTS, MESSAGES = 10, 1_000
LONG = 10_000  # messages: at most 100 a second of each client, so ten seconds in which the new address is noticed
NAME = "redis.slipway.test"

Leave = Callable[[RedisPair], None]


def demoted(pair: RedisPair) -> None:
    pair.promote()
    pair.demote()


def frozen(pair: RedisPair) -> None:
    pair.first.pause()


def killed(pair: RedisPair) -> None:
    pair.first.kill()


def without_replicas(pair: RedisPair) -> None:
    pair.first.command("CONFIG SET min-replicas-to-write 2")


def masterless(pair: RedisPair) -> None:
    """Make it a replica of a master that is away, which refuses to serve stale data."""
    pair.first.command("CONFIG SET replica-serve-stale-data no")
    pair.first.command(f"REPLICAOF 127.0.0.4 {pair.first.port}")


LEAVES: dict[str, Leave] = {leave.__name__: leave for leave in (demoted, frozen, killed, without_replicas, masterless)}


@pytest.mark.alone
@pytest.mark.parametrize("leave", walk(LEAVES, "demoted"))
async def test_old_one_that_takes_nothing(leave: Leave) -> None:
    """If the old server is away or refuses writes, the bus is reported away, and all continues at the new one."""

    async def fail_over(pair: RedisPair, stack: LocalStack) -> None:
        await asyncio.to_thread(leave, pair)
        await until_bus(stack, "fail", 10)
        pair.promote()

    result = await talk_through(fail_over)

    assert_nothing_is_lost_in_silence(result)


def full(pair: RedisPair) -> None:
    pair.first.command("CONFIG SET maxmemory 1")


def unable_to_save(pair: RedisPair) -> None:
    """Put a folder in the place of the dump file."""
    (Path(f"/proc/{pair.first.pid}/cwd").resolve() / "dump.rdb").mkdir()
    pair.first.command('CONFIG SET save "3600 1000000"')
    pair.first.command("BGSAVE")


@pytest.mark.alone
@pytest.mark.parametrize("leave", walk({"full": full, "unable to save": unable_to_save}, "full"))
async def test_old_one_that_is_full(leave: Leave) -> None:
    """If the old server refuses writes for lack of space, the bus has a warning, and all continues at the new one."""

    async def fail_over(pair: RedisPair, stack: LocalStack) -> None:
        leave(pair)
        await until_bus(stack, "warn", 10)
        pair.promote()

    result = await talk_through(fail_over)

    assert_nothing_is_lost_in_silence(result)


@pytest.mark.alone
@pytest.mark.suite
async def test_old_one_that_goes_on() -> None:
    """If the old server still takes messages, which the new one lacks, each client gets a reset and continues."""

    async def fail_over(pair: RedisPair, stack: LocalStack) -> None:
        pair.promote()
        before = length(pair.first)
        await until(lambda: length(pair.first) > before + 20, 20)

    result = await talk_through(fail_over, LONG)

    assert_nothing_is_lost_in_silence(result)
    assert all(seen.resets for seen in result.seen), result


def assert_nothing_is_lost_in_silence(result: Result) -> None:
    """Check that without a reset every message has arrived."""
    assert (result.lost, result.doubled) == (0, 0), result
    if not result.resets:
        assert result.orders == 1, result
        assert len(result.texts) == MESSAGES, result


async def talk_through(
    fail_over: Callable[[RedisPair, LocalStack], Awaitable[None]], messages: int = MESSAGES
) -> Result:
    """Run talking clients through a failover of limited time from the first Redis to the second."""
    if os.geteuid() != 0:
        pytest.skip("a hosts file of one's own takes root")
    with servers.redis_pair() as pair, servers.owned_folder() as folder:
        name = MovingName(folder, NAME, pair.first.host)
        env = {"BUS_URL": f"redis://{NAME}:{pair.first.port}/0"}
        with (
            serving(workers=2, literal=name.seen_by(LITERAL), **env) as server,
            behind_nginx(server) as nginx,
        ):
            stack = LocalStack(server, nginx, Backend("servers", env))

            async def fault() -> None:
                await fail_over(pair, stack)
                before = newest(pair.second)
                name.move(pair.second.host)
                moved = time.monotonic()
                await until(lambda: newest(pair.second) not in ([], before), HEAL_SECONDS, "a message at the new one")
                await until_bus(stack, "pass", moved + HEAL_SECONDS - time.monotonic())

            result = await talk([nginx.address], CLIENTS, messages, [fault], 50)
            late = Client(nginx.address, "late", keep_texts=True)
            reading = asyncio.create_task(late.run())
            await until(lambda: late.seen.messages, 5)
            late.close()
            await reading
            return result


def newest(redis: Redis) -> object:
    """Return the newest message of the log, or an empty list; a new epoch begins with an empty log."""
    with redis.client() as client:
        return client.xrevrange("{slipway}:log", count=1)


def length(redis: Redis) -> int:
    """Return the number of messages in the log."""
    return int(redis.command("XLEN {slipway}:log").removeprefix(":") or 0)


async def until_bus(stack: LocalStack, word: str, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while (await stack.checks())["bus"] != word:  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0.05)


# Answers of the server at the name

REFUSALS = [
    "READONLY You can't write against a read only replica.",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOREPLICAS Not enough good replicas to write.",
    "CLUSTERDOWN The cluster is down",
    "MOVED 1 127.0.0.9:6379",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "BUSY Redis is busy running a script.",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "NOPERM this user has no permissions to run the 'eval' command",
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR Error running script (call to f_1): @user_script:9: -READONLY You can't write against a read only replica.",
    "ERR max number of clients reached",
    "ERR unknown",
    "NEVERHEARD of this",
]
ODD = {
    "silence": b"",
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "bytes": b"$3\r\n\xff\xfe\xfd\r\n",
    "nil": b"$-1\r\n",
}
ANSWERS = {**{text.split()[0] + str(n): f"-{text}\r\n".encode() for n, text in enumerate(REFUSALS)}, **ODD}


@asynccontextmanager
async def answering(host: str, port: int, answer: bytes | None) -> AsyncIterator[None]:
    """Serve the same answer to each command, or, with None, end each connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer is not None and (data := await reader.read(65_536)):
            writer.write(answer * sum(line.startswith(b"*") for line in data.split(b"\r\n")))
        writer.close()

    async with await asyncio.start_server(serve, host, port):
        yield


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The addresses of host names in this process."""
    names: dict[str, str] = {}
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *others: Any, **named: Any) -> Any:
        return look_up(names.get(host, host), *others, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return names


@pytest.mark.parametrize("answer", walk({**ANSWERS, "end": None}, "READONLY0", "LOADING1", "ERR16", "garbage", "end"))
async def test_answer_that_is_a_refusal(name: dict[str, str], answer: bytes | None) -> None:
    """Whatever the server at the name answers, the bus is away, and back within 5 s of the name's change."""
    port = free_ports()
    with servers.redis(host="127.0.0.3", port=port):
        async with answering("127.0.0.2", port, answer):
            name[NAME] = "127.0.0.2"
            bus = RedisBus(f"redis://{NAME}:{port}/0", Retention(10, 60))
            await bus.start()
            try:
                with pytest.raises(Unavailable):
                    await bus.beat("{}")
                assert not bus.available
                name[NAME] = "127.0.0.3"
                await until_published(bus, HEAL_SECONDS)
            finally:
                await bus.stop()


async def until_published(bus: RedisBus, seconds: float) -> None:
    """Wait until a message is published and the bus is available."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await bus.publish('{"text":"a"}')
            except Unavailable:
                await asyncio.sleep(0.05)
                continue
            if bus.available:
                return
            await asyncio.sleep(0.05)


async def test_message_that_only_the_old_one_has() -> None:
    """A message published to a server that the listener has already left is lost, so its sender gets a reset."""
    with servers.redis() as redis:
        bus = RedisBus(redis.url, Retention(10, 60))
        await bus.start()
        try:
            await until_published(bus, HEAL_SECONDS)
            async with bus.subscribe(beats=False) as items:
                bus._sent[bus.last + 1] = "abc"  # as if it had been published elsewhere

                async with asyncio.timeout(HEAL_SECONDS):
                    while not isinstance(await anext(items), Reset):
                        pass
        finally:
            await bus.stop()


KEEP = Retention(100, 3_600)
# Replace the last message by another one, as on a server that lost the end of its log.
FORK = """
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], ARGV[1] .. '-0', 'at', ARGV[2], 'data', '{}', 'token', 'abcdef01')
redis.call('HSET', KEYS[2], 'token', ARGV[1] .. ':abcdef01')
"""


async def said_by_another(url: str) -> str:
    """Publish as another worker, which then ends; return the message's id."""
    another = RedisBus(url, KEEP)
    await another.start()
    try:
        return await another.publish('{"text":"a"}')
    finally:
        await another.stop()


async def test_lost_end_is_found_where_nothing_can_be_written() -> None:
    """A server that takes no writes and has another end of the log: clients get a reset once it takes writes again."""
    with servers.redis(persistent=False) as redis:
        bus = RedisBus(redis.url, KEEP)
        await bus.start()
        try:
            async with asyncio.timeout(20), bus.subscribe(beats=False) as items:
                number = bus.parse(await said_by_another(redis.url))[1]
                assert isinstance(await anext(items), Message)
                with RedisClient.from_url(redis.url) as client, client.pipeline(transaction=True) as at_once:
                    at_once.eval(FORK, 2, "{slipway}:log", "{slipway}:state", number, int(time.time() * 1_000))
                    at_once.config_set("min-replicas-to-write", 1)
                    at_once.execute()
                await until(lambda: not bus.available, 10)
                assert redis.command("CONFIG SET min-replicas-to-write 0") == "+OK"
                while not isinstance(await anext(items), Reset):
                    pass
        finally:
            await bus.stop()

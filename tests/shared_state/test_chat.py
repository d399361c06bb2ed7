"""The chat over the real stack: every message reaches every client once and in order, whatever is killed meanwhile."""

from soak import servers, state_chat
from soak.stack import behind_nginx, serving
from soak.state_chat import Result, talk
from tests.shared_state.conftest import Start

CLIENTS, MESSAGES = 20, 2_000
SECONDS = 50.0


def complete(result: Result) -> bool:
    """Whether every message was seen once, by every client, and nothing was published twice."""
    expected = {f"{client}.{number}" for client in range(CLIENTS) for number in range(MESSAGES // CLIENTS)}
    return (
        (result.lost, result.doubled, result.resets) == (0, 0, 0)
        and set(result.texts) == expected
        and len(result.texts) == MESSAGES
        and all(seen.messages == MESSAGES for seen in result.seen)
    )


async def test_nothing_is_lost(start: Start) -> None:
    """20 clients and 2,000 messages through a killed worker, a reload and a reload of nginx: none lost, none twice."""
    stack = start()
    faults = [
        state_chat.worker_killed(stack.server),
        state_chat.reloaded(stack.server),
        state_chat.nginx_reloaded(stack.nginx),
    ]

    result = await talk(stack.address, CLIENTS, MESSAGES, faults, SECONDS)

    assert complete(result), result
    assert sum(seen.connects for seen in result.seen) > 2 * CLIENTS


async def test_nothing_is_lost_when_redis_is() -> None:
    """The same through a Redis that is killed and started again, and one that is stopped for five seconds."""
    with servers.redis() as redis, serving(workers=2, BUS_URL=redis.url) as server, behind_nginx(server) as nginx:
        faults = [state_chat.redis_killed(redis), state_chat.redis_stopped(redis, 5)]

        result = await talk(nginx.address, CLIENTS, MESSAGES, faults, SECONDS)

        assert complete(result), result
        assert sum(seen.connects for seen in result.seen) == CLIENTS
        assert all(False in seen.bus and seen.bus[-1] for seen in result.seen)


async def test_redis_that_forgets() -> None:
    """A Redis without persistence that is killed and started again: every client is told by a reset, and goes on."""
    with (
        servers.redis(persistent=False) as redis,
        serving(workers=2, BUS_URL=redis.url) as server,
        behind_nginx(server) as nginx,
    ):
        result = await talk(nginx.address, CLIENTS, 500, [state_chat.redis_killed(redis)], SECONDS)

        assert (result.lost, result.doubled) == (0, 0)
        assert [seen.resets for seen in result.seen] == [1] * CLIENTS

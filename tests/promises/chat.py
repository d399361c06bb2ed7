"""A chat message reaches every client once and in one order, whatever is killed meanwhile."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from tests.harness import servers
from tests.harness.client import Address
from tests.harness.stack import behind_nginx, serving
from tests.promises.promise import Row
from tests.promises.talk import Fault, Result, nginx_reloaded, paused, reloaded, restarted, talk, worker_killed

KEEP = {"KEEP_MESSAGES": "50000"}  # more than are sent while a client is away


@dataclass(frozen=True, slots=True)
class Talk:
    """The number of clients, and of messages that they send together."""

    clients: int
    messages: int
    seconds: float
    """The time limit for all of it."""
    away: float = 0.0
    """Seconds for which Redis is stopped."""

    @property
    def said(self) -> int:
        return self.messages // self.clients * self.clients


async def embedded(size: Talk) -> AsyncIterator[Row]:
    """Keep the log in SQLite."""
    with serving(workers=2, **KEEP) as server, behind_nginx(server) as nginx:
        faults = [worker_killed(server), reloaded(server), nginx_reloaded(nginx)]
        yield (await through(faults, [nginx.address], size, "embedded: worker killed, reload, nginx reload"))[0]


async def redis(size: Talk) -> AsyncIterator[Row]:
    """Keep the log in Redis."""
    with (
        servers.redis() as store,
        serving(workers=2, BUS_URL=store.url, **KEEP) as server,
        behind_nginx(server) as nginx,
    ):
        faults: list[Fault] = [worker_killed(server), reloaded(server), nginx_reloaded(nginx), restarted(store)]
        faults.append(paused(store, size.away))
        name = f"Redis: the same, and Redis killed, and stopped for {size.away:g} s"
        yield (await through(faults, [nginx.address], size, name))[0]


async def through(
    faults: Sequence[Fault], addresses: Sequence[Address], size: Talk, name: str = "chat"
) -> tuple[Row, Result]:
    """Talk through faults on a stack of any kind; return the row of the table, and the whole result."""
    result = await talk(addresses, size.clients, size.messages, faults, size.seconds)
    codes = sorted({code for client in result.seen for code in client.codes})
    seen = (
        f"{result.lost} lost, {result.doubled} doubled, {result.resets} resets, {result.said_twice} said twice, "
        f"{result.orders} order of {size.said:,} messages to {size.clients} clients in {result.seconds:.0f} s; "
        f"closed with {codes}"
    )
    return Row(name, seen, _complete(result, size)), result


def _complete(result: Result, size: Talk) -> bool:
    """Return whether every client saw every message once, all in one order, and none is in the log twice.

    A client told by a reset that it misses something has not been promised the rest.
    """
    if (result.lost, result.doubled) != (0, 0):
        return False
    if result.resets:
        return True
    each = range(size.messages // size.clients)
    expected = {f"{client}.{number}" for client in range(size.clients) for number in each}
    once = {*result.texts} == expected and len(result.texts) == size.said
    return once and result.orders == 1 and all(seen.messages == size.said for seen in result.seen)

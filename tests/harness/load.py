"""A load generator: every answer's content is checked, every outcome is counted, nothing is retried."""

import asyncio
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

from slipway.ops.percentile import percentile
from tests.harness.client import SECONDS, Address, Answer, Connection
from tests.harness.processes import until

BODY_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and the content that its answer must have."""

    method: str
    target: str
    body: bytes
    expected: bytes


GET = Request("GET", "/plaintext", b"", b"Hello, World!")
POST = Request("POST", "/echo", (content := os.urandom(BODY_BYTES)), content)
HALF_AND_HALF = (GET, POST)


def wait(milliseconds: int) -> Request:
    return Request("GET", f"/wait?ms={milliseconds}", b"", b'{"ms":%d}' % milliseconds)


def cpu(milliseconds: int) -> Request:
    return Request("GET", f"/cpu?ms={milliseconds}", b"", b'{"ms":%d}' % milliseconds)


@dataclass(slots=True)
class Report:
    """The results: outcomes by method, and the latencies of whole answers in seconds, by target."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.outcomes.total()

    @property
    def lost(self) -> Counter[tuple[str, str]]:
        """All outcomes except a 200 with the expected content."""
        return Counter({key: count for key, count in self.outcomes.items() if key[1] != "200"})

    def percentile(self, percent: float, target: str | None = None) -> float:
        """Return a percentile of the latencies in seconds, of one target or of all."""
        chosen = [self.seconds[target]] if target else self.seconds.values()
        return percentile(itertools.chain.from_iterable(chosen), percent)


class Load:
    """Clients that send requests until stopped or until `total` are sent; `async with` runs them.

    `kept` clients keep their connection as long as the server allows, `fresh` ones open one for each request. With a
    `rate` (per second, all clients together) requests are due at random times, the same in each run, as from many
    independent clients; latency is measured from the time a request was due.
    """

    def __init__(
        self,
        address: Address,
        requests: Iterable[Request] = HALF_AND_HALF,
        *,
        kept: int = 16,
        fresh: int = 0,
        total: int | None = None,
        rate: float | None = None,
    ) -> None:
        self.report = Report()
        self._address = address
        self._requests: Iterator[Request] = itertools.cycle(requests)
        self._keep = [True] * kept + [False] * fresh
        self._tickets = iter(range(total)) if total is not None else itertools.count()
        self._due = _due_times(rate) if rate else None
        self._stopped = asyncio.Event()
        self._under_way: set[int] = set()
        self._numbers = itertools.count()

    async def __aenter__(self) -> "Load":
        self._started = time.perf_counter()
        self._clients = [asyncio.create_task(self._client(keep)) for keep in self._keep]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        await asyncio.gather(*self._clients)

    def stop(self) -> None:
        """Send nothing more; requests under way are still awaited."""
        self._stopped.set()

    async def run(self) -> Report:
        """Send `total` requests and return the results."""
        async with self:
            await asyncio.gather(*self._clients)
        return self.report

    async def until(self, total: int, seconds: float = 60.0) -> None:
        """Wait until `total` requests have been answered or lost."""
        await until(lambda: self.report.total >= total, seconds, f"{total} answers")

    async def until_answered(self, seconds: float = 60.0) -> None:
        """Wait until each request now under way has been answered or lost."""
        waited_for = self._under_way.copy()
        await until(lambda: not waited_for & self._under_way, seconds, f"answers to all of {len(waited_for)}")

    async def _client(self, keep: bool) -> None:
        connection: Connection | None = None
        for _ in self._tickets:
            due = await self._turn()
            if self._stopped.is_set():
                break
            number = next(self._numbers)
            self._under_way.add(number)
            connection = await self._once(next(self._requests), connection, due)
            self._under_way.discard(number)
            if connection is not None and not (keep and connection.reusable):
                await connection.close()
                connection = None
        if connection is not None:
            await connection.close()

    async def _turn(self) -> float:
        if self._due is None:
            return time.perf_counter()
        due = self._started + next(self._due)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, due - time.perf_counter())):
                await self._stopped.wait()
        return due

    async def _once(self, request: Request, connection: Connection | None, due: float) -> Connection | None:
        """Send one request; return the connection if it can still be used."""
        try:
            async with asyncio.timeout(SECONDS):
                connection = connection or await Connection.open(self._address)
                answer = await connection.request(request.method, request.target, request.body)
        except (OSError, EOFError, TimeoutError) as error:
            how = "cut" if isinstance(error, asyncio.IncompleteReadError) and error.expected else type(error).__name__
            self.report.outcomes[request.method, how] += 1
            if connection is not None:
                await connection.close()
            return None
        self.report.outcomes[request.method, _outcome(request, answer)] += 1
        self.report.seconds.setdefault(request.target, []).append(time.perf_counter() - due)
        return connection


def _due_times(rate: float) -> Iterator[float]:
    """Return the due times in seconds after the start, with the gaps of a Poisson process."""
    chance = random.Random(1)
    return itertools.accumulate(chance.expovariate(rate) for _ in itertools.count())


def _outcome(request: Request, answer: Answer) -> str:
    if answer.status == 200:
        return "200" if answer.body == request.expected else "wrong content"
    kind = "" if answer.headers.get("content-type") == "application/problem+json" else " without problem details"
    return f"{answer.status}{kind}"

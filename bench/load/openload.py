"""The open load: requests start by a schedule, regardless of outstanding responses.

Latency is measured from the scheduled start (no coordinated omission). The generator is a separate process:
`python -m bench.load.openload` reads a Job as JSON from stdin and writes a LoadResult to stdout.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator

from bench.figures.histogram import Histogram
from bench.load import schedule
from bench.load.connection import LoadConnection, request_bytes
from bench.load.job import Job, LoadResult, RequestKind

DRAIN_SECONDS = 5.0  # for outstanding responses after the last start
LATE_SECONDS = 0.005  # a start that is later than this counts as late


class OpenLoad:
    """Runs one job."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.result = LoadResult()
        self._idle: list[LoadConnection] = []
        self._open = 0
        self._under_way = 0
        self._started = 0
        self._kinds: dict[LoadConnection, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> LoadResult:
        """Start all requests, wait for their responses and return the result."""
        begun, used = time.perf_counter(), time.process_time()
        for offset, kind in self._plan():
            delay = begun + offset - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            elif self._started % 16 == 0:
                await asyncio.sleep(0)  # when late, responses must still be read
            self._start(kind, begun + offset, schedule.measured(offset, self.job.warmup), -delay)
        end = time.perf_counter() + DRAIN_SECONDS
        while self._under_way and time.perf_counter() < end:  # noqa: ASYNC110 (the measurement is over)
            await asyncio.sleep(0.01)
        self.result.busy = (time.process_time() - used) / max(self.job.seconds, time.perf_counter() - begun)
        self.result.seconds = self.job.seconds - self.job.warmup
        self._count_unanswered()
        for connection in [*self._idle, *self._kinds]:
            if connection.transport is not None:
                connection.done = None
                connection.transport.abort()
        return self.result

    def _count_unanswered(self) -> None:
        """Count unanswered requests as failures, with their waiting time until now as latency."""
        if self._under_way:
            self.result.failures[f"no answer within {DRAIN_SECONDS:g} s"] += self._under_way
        for connection, name in self._kinds.items():
            if name:
                self._add(connection, name, time.perf_counter())

    def _add(self, connection: LoadConnection, name: str, ended: float) -> None:
        for kinds, begun in ((self.result.corrected, connection.intended), (self.result.uncorrected, connection.sent)):
            kinds.setdefault(name, Histogram()).add((ended - begun) * 1_000)

    def _plan(self) -> Iterator[tuple[float, RequestKind]]:
        chance = random.Random(self.job.seed)
        shares = [kind.share for kind in self.job.kinds]
        for offset in schedule.poisson(self.job.rate, self.job.seconds, self.job.seed):
            yield offset, chance.choices(self.job.kinds, shares)[0]

    def _start(self, kind: RequestKind, intended: float, counts: bool, late: float) -> None:
        self._started += 1
        if counts:
            self.result.offered += 1
            self.result.late += late > LATE_SECONDS
        self._under_way += 1
        while self._idle and self._idle[-1].transport is None:  # closed by the server meanwhile
            self._idle.pop()
            self._open -= 1
        if self._idle:
            self._ask(self._idle.pop(), kind, intended, counts)
        elif self._open < self.job.most_connections:
            self._open += 1
            task = asyncio.ensure_future(self._connect(kind, intended, counts))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._under_way -= 1
            self.result.failures["no connection left"] += 1

    async def _connect(self, kind: RequestKind, intended: float, counts: bool) -> None:
        try:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(LoadConnection, "127.0.0.1", self.job.port)
        except OSError as error:
            self._open -= 1
            self._under_way -= 1
            self.result.failures[f"connect: {type(error).__name__}"] += 1
            return
        self.result.connections += 1
        self._ask(connection, kind, intended, counts)

    def _ask(self, connection: LoadConnection, kind: RequestKind, intended: float, counts: bool) -> None:
        connection.intended, connection.sent = intended, time.perf_counter()
        self._kinds[connection] = kind.name if counts else ""
        self.result.sent += 1
        body = kind.body.encode()
        connection.ask(request_bytes(kind.path, method=kind.method, body=body), kind.expected.encode(), self._done)

    def _done(self, connection: LoadConnection, failure: str | None) -> None:
        ended = time.perf_counter()
        self._under_way -= 1
        name = self._kinds.pop(connection)
        if connection.transport is None or connection.transport.is_closing() or failure:
            self._open -= 1
            if connection.transport is not None:
                connection.transport.close()
        else:
            self._idle.append(connection)
        if failure:
            self.result.failures[failure] += 1
        elif name:
            self.result.completed += 1
            self._add(connection, name, ended)


def main() -> None:
    """Run the job given on stdin."""
    data = json.load(sys.stdin)
    job = Job(**{**data, "kinds": [RequestKind(**kind) for kind in data["kinds"]]})
    try:
        import uvloop

        result = uvloop.run(OpenLoad(job).run())
    except ImportError:
        result = asyncio.run(OpenLoad(job).run())
    json.dump(result.as_dict(), sys.stdout)


if __name__ == "__main__":
    main()

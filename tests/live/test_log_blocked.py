"""A stdout that accepts nothing costs lines of the log, and nothing else."""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.harness.client import Connection, request
from tests.harness.load import Load, Request
from tests.harness.processes import running, until
from tests.harness.stack import LITERAL, Server, serving
from tests.harness.talking import Pipe, piped
from tests.harness.walks import walk
from tests.live.sites import Site

POST = Request("POST", "/", body := os.urandom(1_000), body)
GET = Request("GET", "/", b"", b"old")
LOUD = [Request("GET", "/noise/20/200", b"", b"old"), Request("POST", "/noise/5/9000", body, body)]
REQUESTS = 600
PENDING = 1024 * 1024  # bytes that a process buffers


async def test_pipe_that_is_not_read_costs_no_request(folder: Path, options: dict[str, Any], pipe: Pipe) -> None:
    """With a full pipe as stdout the server starts, answers everything in time, reloads, and ends in time."""
    pipe.fill()
    with piped(Server(folder, Site.name, **options), pipe) as server:
        report = await Load(server.address(), [GET, POST, *LOUD], kept=8, total=REQUESTS, rate=300).run()
        code, output = await server.reload()
        start = time.monotonic()
        server.signal(signal.SIGTERM)

        assert await server.exit_code(8) == 0
        assert time.monotonic() - start < 6
        assert not report.lost
        assert report.percentile(99) < 0.5
        assert (code, output) == (0, "2 workers replaced\n")


async def test_blocked_worker_is_killed_while_the_log_is_blocked(
    folder: Path, options: dict[str, Any], pipe: Pipe
) -> None:
    """TIMEOUT still ends a worker with a blocked loop, and another takes its place."""
    pipe.fill()
    with piped(Server(folder, Site.name, **options), pipe) as server:
        async with await Connection.open(server.address()) as blocked:
            await until(lambda: "serving" in server.status(), 5)
            before = server.status()["serving"]
            blocked.send("GET", "/block/60")
            await until(lambda: set(server.status()["serving"]) - set(before), 15, "another worker")

        assert (await request(server.address(), "POST", "/", body)).body == body


async def test_dropped_lines_are_counted(folder: Path, options: dict[str, Any], pipe: Pipe) -> None:
    """When the pipe is read again, each line has either arrived whole or is counted in one record."""
    pipe.fill()
    with piped(Server(folder, Site.name, workers=1, **options), pipe) as server:
        count = 3 * PENDING // 1_000
        await request(server.address(), "GET", f"/noise/{count}/1000")
        pipe.read()
        await until(lambda: any("dropped" in record for record in pipe.records()), 10, "the count")
        await request(server.address(), "GET", "/noise/1/1")
        await until(lambda: "noise 0 x" in (record["message"] for record in pipe.records()), 10)
        server.stop()
    pipe.close()
    told = [record for record in pipe.records() if "dropped" in record]
    arrived = [record["message"].split()[1] for record in pipe.records() if record["message"].startswith("noise")]

    assert 0 < sum(record["dropped"] for record in told) == count + 1 - len(arrived)
    assert arrived[-1] == "0"
    assert sorted(set(arrived), key=int) == arrived[:-1]
    assert {record["level"] for record in told} == {"WARNING"}


@pytest.mark.parametrize(
    "where", walk(["reader gone", "/dev/full", "closed", "reader gone later"], "/dev/full", "reader gone later")
)
async def test_log_that_fails_reaches_no_request(folder: Path, options: dict[str, Any], pipe: Pipe, where: str) -> None:
    """Where every write fails, all requests are answered, and reload and stop work as usual."""
    closed = ("sh", "-c", 'exec "$@" >&-', "sh", *LITERAL)
    server = Server(folder, Site.name, literal=closed if where == "closed" else LITERAL, **options)
    full = os.open("/dev/full", os.O_WRONLY)
    server.output = {"/dev/full": full, "closed": None}.get(where, pipe.writer)
    if where == "reader gone":
        pipe.close_reader()
    with running(server):
        pipe.close()
        report = await Load(server.address(), [GET, POST, *LOUD], kept=8, total=REQUESTS).run()

        assert not report.lost
        assert (await server.reload())[0] == 0
    os.close(full)


async def test_disk_that_is_full_for_a_while(folder: Path, options: dict[str, Any]) -> None:
    """A log file of limited size ends with a whole line, and clients notice nothing."""
    limited = ("sh", "-c", 'ulimit -f 200; exec "$@"', "sh", *LITERAL)  # blocks of 512 or 1,024 bytes
    with serving(Site.name, literal=limited, **options) as server:
        report = await Load(server.address(), [GET, POST, *LOUD], kept=8, total=REQUESTS).run()

        assert not report.lost
        assert server.log_path.stat().st_size > 90_000
        assert server.log().endswith("}\n")
        assert server.records()


async def test_slow_reader_gets_whole_lines(folder: Path, options: dict[str, Any], pipe: Pipe) -> None:
    """Long and short lines of three workers share a pipe whose reader pauses, and none is cut by another."""
    with piped(Server(folder, Site.name, workers=3, **options), pipe) as server:
        loads = [Load(server.address(slot), LOUD, kept=2, total=60) for slot in range(3)]
        reports = [asyncio.create_task(load.run()) for load in loads]
        await asyncio.sleep(0.3)
        pipe.read()
        await asyncio.gather(*reports)
        server.stop()
    pipe.close()
    records = pipe.records()
    noise = sum(record["message"].startswith("noise") for record in records)
    dropped = sum(record.get("dropped", 0) for record in records)

    assert noise <= 3 * 30 * (20 + 5) <= noise + dropped

"""Every line is one JSON object with the same fields, occurs once, and is written soon."""

import asyncio
import os
import re
import signal
import socket
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.harness.client import Connection, request
from tests.harness.processes import is_alive, running, until
from tests.harness.stack import Server
from tests.harness.talking import Pipe, piped, strict
from tests.live.sites import Site

RELOADS = 3
SOON = 0.1  # seconds
WORST = 64 * 1024  # bytes of a line
FIELDS = {"time", "level", "logger", "pid", "message"}


def checked(server: Server) -> list[dict[str, Any]]:
    """Return the records of a log, each parsed strictly."""
    lines = server.log_path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert max(map(len, lines)) < WORST
    records = [strict(line) for line in lines]
    for record in records:
        assert set(record) >= FIELDS, record
        assert datetime.fromisoformat(record["time"]).tzinfo is not None
    return records


async def test_whatever_is_said_is_a_record(folder: Path, options: dict[str, Any]) -> None:
    """All output of loggers, print, descriptors, programs, threads, hooks, PRESTART and checks becomes records."""
    prestart = "sh -c 'echo before the start; echo its error >&2; printf \"bad \\377 byte\"'"
    with running(Server(folder, Site.name, workers=1, **options | {"PRESTART": prestart})) as server:
        assert (await request(server.address(), "GET", "/everything")).status == 200
        assert (await server.reload())[0] == 0
        server.stop()
    said = {(record["logger"], record["level"], record["message"].strip()) for record in checked(server)}

    assert said >= {
        ("site", "INFO", "newline\n, NUL \0, lone \\udcff, separators \u2028 \x85, face \U0001f600"),
        ("site", "INFO", "wrong %d"),
        ("site", "INFO", "broken %s"),
        ("site", "INFO", "extra"),
        ("site", "INFO", "a dict"),
        ("site", "INFO", "cycle"),
        ("stdout", "INFO", "printed"),
        ("stdout", "INFO", "printed in two parts"),
        ("stderr", "ERROR", "an error"),
        ("stdout", "INFO", "bytes \\xff"),
        ("stderr", "ERROR", "several"),
        ("stderr", "ERROR", "lines"),
        ("stdout", "INFO", "past Python \\xff"),
        ("stderr", "ERROR", "past Python's errors"),
        ("stdout", "INFO", "from C"),
        ("stdout", "INFO", "a program"),
        ("stderr", "ERROR", "its error"),
        ("stdout", "INFO", "a program on sys.stdout"),
        ("stderr", "ERROR", "LookupError: printed"),
        ("stdout", "INFO", "before the start"),
        ("stdout", "INFO", "bad \\xff byte"),
        ("check", "INFO", "before the start"),
        ("stdout", "INFO", "the last print"),
    }
    assert {(logger, level) for logger, level, _ in said} >= {("py.warnings", "WARNING"), ("python", "ERROR")}


async def test_long_records_are_cut(folder: Path, options: dict[str, Any]) -> None:
    """A record of a megabyte keeps its beginning and its end, and says that it was cut."""
    with running(Server(folder, Site.name, workers=1, **options)) as server:
        await request(server.address(), "GET", "/everything")
        await request(server.address(), "GET", f"/fail/{'z' * 60_000}")
        server.stop()
    records = checked(server)
    (long,) = [record for record in records if record["message"].startswith("long")]
    (raised,) = [record for record in records if "zzz" in record.get("exc_info", "")]

    assert long["cut"] is True
    assert long["message"].endswith("yyy")
    assert raised["exc_info"].startswith("Traceback")


HOSTILE = [
    b"GET /\xff\xfe\x80\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
    b"\xff\xfe\x00\n\n\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nbad header\xff\r\n\r\n",
    b'GET /%FF%00%0A%22%5C HTTP/1.1\r\nhost: \xff\r\nx-request-id: \xff"\\\r\n\r\n',
    b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"\xff" * 1_000_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: \xff\r\nconnection: upgrade\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: \xff\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\xff\xff\r\n",
]


async def test_hostile_clients(folder: Path, options: dict[str, Any]) -> None:
    """Bytes that are not HTTP, not UTF-8 or far too many leave valid lines."""
    with running(Server(folder, workers=1, ACCESS_LOG="1", LOG_LEVEL="debug", PRESTART="none")) as server:
        for data in HOSTILE:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(server.address()))
                client.settimeout(0.5)
                try:
                    client.sendall(data)
                    client.recv(1_000)
                except OSError:
                    pass
        server.stop()

    lines = server.log_path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert all(isinstance(strict(line), dict) for line in lines)


async def test_handlers_survive_reloads(folder: Path, options: dict[str, Any]) -> None:
    """After three reloads each record of uvicorn, of the app and of gunicorn occurs exactly once."""
    with running(Server(folder, Site.name, workers=1, **options)) as server:
        for _ in range(RELOADS):
            assert (await server.reload())[0] == 0
        assert (await request(server.address(), "GET", "/fail/once")).status == 500
        await request(server.address(), "GET", "/noise/1/1")
        server.stop()
    records = checked(server)
    count = Counter(record["message"] for record in records)

    assert [record["logger"] for record in records if "LookupError: once" in record.get("exc_info", "")] == ["slipway"]
    assert count["noise 0 x"] == 1
    for number in range(1, RELOADS + 1):
        assert sum(re.match(rf"Reload {number} done", text) is not None for text in count) == 1
    assert count["Application startup complete."] == count["the last record"] == 1 + RELOADS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_records_at_the_end_are_all_there_once(folder: Path, options: dict[str, Any], number: int) -> None:
    """The last records of workers and arbiter are written, whatever signal ends them."""
    with running(Server(folder, Site.name, **options)) as server:
        await asyncio.gather(*(request(server.address(slot), "GET", "/noise/500/100") for slot in range(2)))
        assert server.stop(number) == 0
    count = Counter(record["message"] for record in checked(server))

    assert count["the last record"] == count["the last print"] == 2
    assert {count[f"noise {n} {'x' * 100}"] for n in range(500)} == {2}
    assert sum(text.startswith("Worker exiting") for text in count) == 2
    assert count["Shutting down: Master"] == 1


async def test_recycled_worker_leaves_all_its_records(folder: Path, options: dict[str, Any]) -> None:
    """A worker that ends after MAX_REQUESTS loses no record, and its successor repeats none."""
    settings = {"MAX_REQUESTS": "5", "MAX_REQUESTS_JITTER": "0"}
    with running(Server(folder, Site.name, workers=1, **options | settings)) as server:
        for number in range(5):
            await request(server.address(), "GET", f"/noise/100/{number + 1}")
        await until(lambda: server.logged("Worker exiting"), 15)
        server.stop()
    count = Counter(record["message"] for record in checked(server))

    assert {count[f"noise {n} {'x' * size}"] for n in range(100) for size in range(1, 6)} == {1}
    assert count["the last record"] == 2


async def test_worker_without_arbiter_leaves_its_records(folder: Path, options: dict[str, Any]) -> None:
    """Workers whose arbiter was killed end by themselves and write all their records."""
    with running(Server(folder, Site.name, **options)) as server:
        pids = server.pids()
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), 10, "the end of the workers")
    count = Counter(record["message"] for record in checked(server))

    assert count["The arbiter is gone; stopping"] == count["the last record"] == 2


@pytest.mark.parametrize("spin", ["0", "1"], ids=["sleeps", "computes"])
async def test_records_come_within_100_ms(folder: Path, options: dict[str, Any], pipe: Pipe, spin: str) -> None:
    """A record leaves the process within 100 ms, also from a handler that blocks the loop."""
    pipe.read()
    with piped(Server(folder, Site.name, workers=1, **options), pipe) as server:
        await request(server.address(), "GET", f"/slowly/100/{spin}")
        server.stop()
    pipe.close()
    late = sorted(
        moment - datetime.fromisoformat(record["time"]).timestamp()
        for moment, record in pipe.arrivals()
        if record["message"].startswith("slowly")
    )

    assert len(late) == 100
    assert late[-1] < SOON


async def test_blocked_worker_leaves_one_record_of_its_stacks(folder: Path, options: dict[str, Any]) -> None:
    """The stacks that faulthandler writes are in one record of the arbiter."""
    with running(Server(folder, Site.name, workers=1, **options)) as server:
        (pid,) = server.pids()
        async with await Connection.open(server.address()) as blocked:
            blocked.send("GET", "/block/60")
            await until(lambda: server.logged("at these stacks"), 15)
        server.stop()
    (record,) = [record for record in checked(server) if "stacks" in record]

    assert str(pid) in record["message"]
    assert "in block\n" in record["stacks"]
    assert record["level"] == "ERROR"


async def test_refused_start_is_a_record(folder: Path, options: dict[str, Any]) -> None:
    """Once logging is configured, the reason for an end is a record like any other."""
    server = Server(folder, Site.name, **options | {"PRESTART": "sh -c 'echo on purpose; exit 3'"})
    server.start()

    assert await server.exit_code(20) == 1
    said = [record["message"] for record in checked(server)]
    assert "on purpose" in said
    assert any("failed; nothing was started" in text for text in said)


async def test_log_goes_on_with_another_arbiter(folder: Path, options: dict[str, Any]) -> None:
    """After SIGUSR2 the new arbiter writes to the same stdout, and still does after the old one has ended."""
    with running(Server(folder, Site.name, workers=1, slots="shared", **options)) as server:
        server.signal(signal.SIGUSR2)
        await until(lambda: len(arbiters(server)) == 2, 20, "the new arbiter")
        (new,) = arbiters(server) - {server.pid}
        try:
            await until(lambda: said_by(server, new, "Control socket"), 20, "its workers")
            server.signal(signal.SIGTERM)
            assert await server.exit_code(8) == 0
            os.kill(new, signal.SIGTTIN)
            await until(lambda: said_by(server, new, "Handling signal: ttin"), 10)
            assert (await request(server.address(), "GET", "/everything")).status == 200
        finally:
            os.kill(new, signal.SIGTERM)
        await until(lambda: said_by(server, new, "Shutting down"), 10)
        await until(lambda: not is_alive(new), 10, "the end of the new arbiter")
    count = Counter((record["logger"], record["message"]) for record in checked(server))

    assert count["stdout", "printed"] == count["stdout", "a program"] == count["stderr", "past Python's errors"] == 1
    assert count["gunicorn.error", "Shutting down: Master"] == 2


def arbiters(server: Server) -> set[int]:
    return {record["pid"] for record in server.records() if record["message"].startswith("Starting gunicorn")}


def said_by(server: Server, pid: int, begin: str) -> bool:
    return any(record["pid"] == pid and record["message"].startswith(begin) for record in server.records())

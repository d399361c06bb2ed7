"""Every line of nginx's log is one JSON object, none is lost while the log is read, and no log can block nginx."""

import asyncio
import json
import os
import signal
import subprocess
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import get_args

import pytest

from slipway.ops.nginx_text import NGINX_DIR
from tests.harness.edge import Edge, Runner, answers, breaks, exchange, message, slots
from tests.harness.processes import children, running, until

PIPE_BUF = 4096
RUNNERS = get_args(Runner)
HOST = b"Host: localhost\r\n"


def get(target: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1", fields: bytes = b"") -> bytes:
    return method + b" " + target + b" " + version + b"\r\n" + HOST + fields + b"Connection: close\r\n\r\n"


RAW = {
    "bytes above 127": get(b"/\xff\xfe\x80"),
    "UTF-8": get("/größe".encode()),
    "half of a character": get(b"/\xc3"),
    "surrogate": get(b"/\xed\xa0\x80"),
    "quotes and backslashes": get(b'/"\\"}{' * 200),
    "target of 7 KiB": get(b"/" + b"a" * 7_000),
    "target of 7 KiB of quotes": get(b"/" + b'"' * 7_000),
    "control bytes": get(b"/\x01\x1b[31m"),
    "method of 900 bytes": get(b"/", method=b"A" * 900),
    "raw bytes for a method": get(b"/", method=b"\xff\xfe"),
    "version with 300 digits": get(b"/", version=b"HTTP/1." + b"0" * 300 + b"1"),
    "HTTP/0.9": b"GET /\r\n",
    "HTTP/0.9 with raw bytes": b"GET /\xff\xfe\r\n",
    "HTTP/2 request line": get(b"/", version=b"HTTP/2.0"),
    "not HTTP": b"\x16\x03\x01\xff\xfe\x00{}\n\n",
    "a line of JSON": b'{"time":"now"}\r\n\r\n',
    "a header of nothing but bytes": get(b"/", fields=b"\xff\xfe: \xff\r\n"),
    "Host of raw bytes": b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
    "body over the limit": get(b"/\xff", method=b"POST", fields=b"Content-Length: 99999999\r\n"),
    "an empty connection": b"",
    "half a request": b"GET /\xff HT",
}


async def send(edge: Edge, data: bytes) -> None:
    """Send bytes and read until the end; bytes without a final line feed are followed by the end of the stream."""
    assert not isinstance(edge.address, str)
    reader, writer = await asyncio.open_connection(*edge.address)
    writer.write(data)
    if not data.endswith(b"\n"):
        writer.write_eof()
    with suppress(OSError):
        await asyncio.wait_for(reader.read(), 10)
    writer.close()


@pytest.mark.parametrize("runner", RUNNERS)
async def test_whatever_clients_send(folder: Path, runner: Runner) -> None:
    """Raw bytes, long lines and input other than HTTP leave lines of ASCII JSON, each short enough for one write."""
    async with slots(folder, [breaks, answers]):
        with running(Edge(folder, runner=runner)) as edge:
            await asyncio.gather(*(send(edge, data) for data in [*RAW.values()] * 2))
        lines = edge.log_path.read_bytes().splitlines(keepends=True)

    assert max(map(len, lines)) < PIPE_BUF
    for line in lines:
        line.decode("ascii")
        assert json.loads(line).keys() >= {"time", "logger"}, line
    kinds = [("request_id" in json.loads(line)) for line in lines]
    assert kinds.count(True) >= 2 * (len(RAW) - 2)  # the last two are no requests
    assert kinds.count(False) >= 2  # nginx's messages about the worker that breaks


@pytest.mark.parametrize("runner", RUNNERS)
async def test_error_log_is_wrapped(folder: Path, runner: Runner) -> None:
    """A line of the error log is an object with the fields of any record, with the client's bytes made printable."""
    async with slots(folder, [breaks]):
        with running(Edge(folder, runner=runner)) as edge:
            await send(edge, get(b'/\xff"\\x', method=b"POST"))
        (record,) = [record for record in edge.records() if "path" not in record]
        (access,) = [record for record in edge.records() if "path" in record]

    assert record.keys() == {"time", "level", "logger", "pid", "message"}
    assert record["pid"] == access["pid"]
    assert (record["level"], record["logger"]) == ("ERROR", "nginx")
    assert record["message"].startswith("*")
    assert 'request: "POST /?"\\x HTTP/1.1"' in record["message"]
    assert abs(_seconds(record["time"]) - _seconds(access["time"])) <= 1


SECRET = {
    "query": b"/path?token=secret",
    "quotes in it": b'/path?a="secret",%20upstream:%20"secret',
    "a referrer's": b"/path",
    "both": b"/path?secret",
}


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("kind", SECRET)
async def test_queries_are_in_no_log(folder: Path, runner: Runner, kind: str) -> None:
    """Neither the access log nor the error log has a query, whichever field it comes in."""
    fields = b"Referer: https://other/page?secret\r\n" if kind in ("a referrer's", "both") else b""
    async with slots(folder, [breaks]):
        with running(Edge(folder, runner=runner)) as edge:
            await send(edge, get(SECRET[kind], method=b"POST", fields=fields))
        log = edge.log_path.read_text()
        (access,) = [record for record in edge.records() if "path" in record]
        (error,) = [record for record in edge.records() if "path" not in record]

    assert "secret" not in log
    assert access["path"] == "/path"
    assert 'request: "POST /path' in error["message"]
    assert f'upstream: "http://unix:{folder}/live-0.sock:/path"' in error["message"]


@pytest.mark.parametrize("runner", RUNNERS)
async def test_queries_by_a_setting(folder: Path, runner: Runner) -> None:
    """With LOG_QUERY=1 the access log has the query as it came."""
    async with slots(folder, [answers]):
        with running(Edge(folder, runner=runner, log_query=True)) as edge:
            await send(edge, get(b"/path?a=1&b=2"))
        (access,) = edge.records()

    assert access["path"] == "/path?a=1&b=2"


TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RIGHT = [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what-comes"]
WRONG = [
    "",
    "none",
    f"00-{TRACE}-{SPAN}",
    f"00-{TRACE}-{SPAN}-01-more",
    f"ff-{TRACE}-{SPAN}-01",
    f"00-{TRACE.upper()}-{SPAN}-01",
    f"00-{'0' * 32}-{SPAN}-01",
    f"00-{TRACE}-{'0' * 16}-01",
    f"00-{TRACE[1:]}-{SPAN}-01",
    f"00-{TRACE}-{SPAN}-0g",
    f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01",
]


async def test_traces_through_nginx(folder: Path) -> None:
    """A valid `traceparent` is passed on with its state, an invalid one never; the log has the trace."""
    async with slots(folder, [answers]) as (slot,):
        with running(Edge(folder)) as edge:
            for number, value in enumerate([*RIGHT, *WRONG]):
                await send(edge, get(b"/%03d" % number, fields=f"traceparent: {value}\r\ntracestate: a=1\r\n".encode()))
        heads = [head.decode().lower() for head in slot.heads]
        records = sorted(edge.records(), key=lambda record: record["path"])

    assert [f"traceparent: {value}\r\n" in head for value, head in zip(RIGHT, heads, strict=False)] == [True] * len(
        RIGHT
    )
    assert ["tracestate: a=1" in head for head in heads] == [True] * len(RIGHT) + [False] * len(WRONG)
    assert ["traceparent" in head for head in heads[len(RIGHT) :]] == [False] * len(WRONG)
    assert [record["trace_id"] == TRACE for record in records] == [True] * len(RIGHT) + [False] * len(WRONG)
    assert [record["trace_id"] == record["request_id"] for record in records[len(RIGHT) :]] == [True] * len(WRONG)
    assert [record["span_id"] == record["request_id"][:16] for record in records] == [True] * len(records)


async def test_tries_are_counted(folder: Path) -> None:
    """A record has the workers that were tried, their times and their number."""
    async with slots(folder, [answers], [folder / "gone.sock"]):
        with running(Edge(folder)) as edge:
            for _ in range(4):
                await send(edge, get(b"/"))
        records = edge.records()

    assert max(record["tries"] for record in records if "path" in record) > 1
    for record in records:
        if "path" in record:
            assert len(record["upstream_time"].replace(" : ", ", ").split(", ")) == record["tries"]


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@pytest.mark.parametrize("runner", RUNNERS)
async def test_eight_nginx_workers_write_at_once(folder: Path, runner: Runner) -> None:
    """With eight nginx workers, long lines and errors among them, no line is cut by another and none is missing."""
    async with slots(folder, [answers] * 4, [folder / "gone.sock"]):
        edge = Edge(folder, runner=runner)
        configuration = folder / "nginx" / "nginx.conf"
        configuration.write_text(configuration.read_text().replace("worker_processes auto", "worker_processes 8"))
        with running(edge):
            for number in range(0, 1_000, 50):
                data = [get(b"/%d?" % n + b'"' * (n % 13 * 90)) for n in range(number, number + 50)]
                await asyncio.gather(*(exchange(edge.address, each) for each in data))
        records = edge.records()

    seen = [record["path"].partition("?")[0] for record in records if "path" in record]
    assert sorted(seen, key=lambda uri: int(uri[1:])) == [f"/{n}" for n in range(1_000)]
    assert any("connect() to unix" in record.get("message", "") for record in records)


class Unread(Edge):
    """An nginx whose log goes into a pipe that the test reads, or does not."""

    def start(self) -> None:
        self.read, write = os.pipe()
        self._process = subprocess.Popen(
            self._command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=write,
            start_new_session=True,
        )
        os.close(write)

    def rest(self, lines: list[bytes]) -> None:
        """Read all lines until the end, each as it comes."""
        with os.fdopen(self.read, "rb") as file:
            lines.extend(file)


LONG = "/" + "a" * 900
LATER = "/later"
SECONDS = 30.0  # until a log that is read continues
MANY = 12_000  # lines of 1.2 kB, several times the capacity of pipe, relay and output


async def ask_many(edge: Edge, count: int, path: str = LONG) -> None:
    """Send requests, each of which must be answered, whatever becomes of its record."""

    async def some(number: int) -> None:
        assert not isinstance(edge.address, str)
        reader, writer = await asyncio.open_connection(*edge.address)
        for _ in range(number):
            writer.write(message("GET", path))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            assert head.startswith(b"HTTP/1.1 200 ")
            await reader.readexactly(3)
        writer.close()

    await asyncio.gather(*(some(count // 8) for _ in range(8)))


@pytest.mark.parametrize("runner", RUNNERS)
async def test_log_that_is_not_read(folder: Path, runner: Runner) -> None:
    """All requests are answered while the log is not read, and everything that arrives afterwards is whole lines."""
    async with slots(folder, [answers] * 2):
        with running(Unread(folder, runner=runner)) as edge:
            await ask_many(edge, MANY)
            lines, later = list[bytes](), 0
            rest = asyncio.create_task(asyncio.to_thread(edge.rest, lines))
            async with asyncio.timeout(SECONDS):
                while not any(b'"' + LATER.encode() in line for line in lines):  # the log continues once it is read
                    await ask_many(edge, 8, LATER)
                    later += 8
            code = await asyncio.to_thread(edge.stop)
            await rest

    records = [json.loads(line) for line in lines]
    seen = sum("path" in record for record in records)
    assert code == 0
    assert 100 < seen < MANY
    if runner == "python":  # only this one counts dropped records
        told = [
            int(record["message"].split()[0]) for record in records if "records dropped" in record.get("message", "")
        ]
        assert 0.9 * MANY < sum(told) + seen <= MANY + later + len(told)


@pytest.mark.parametrize("runner", RUNNERS)
async def test_log_without_a_reader(folder: Path, runner: Runner) -> None:
    """When the log's reader has gone, requests are answered all the same, and the stop works as usual."""
    async with slots(folder, [answers] * 2):
        with running(Unread(folder, runner=runner)) as edge:
            os.close(edge.read)
            await ask_many(edge, 2_000)

            assert edge.stop() == 0


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("how", [signal.SIGSTOP, signal.SIGKILL])
async def test_relay_that_stands_still_or_dies(folder: Path, runner: Runner, how: signal.Signals) -> None:
    """nginx keeps serving while the process that reads its log is stopped; in the image also when it is killed."""
    if runner == "python" and how == signal.SIGKILL:
        pytest.skip("nginx ends with it, and service starts both")
    async with slots(folder, [answers] * 2):
        with running(Edge(folder, runner=runner)) as edge:
            relay = edge.pid if runner == "python" else _awk(edge)
            os.kill(relay, how)
            try:
                await ask_many(edge, 4_000)
            finally:
                if how == signal.SIGSTOP:
                    os.kill(relay, signal.SIGCONT)


def _awk(edge: Edge) -> int:
    (pid,) = [pid for pid in children(edge.pid) if b"awk" in Path(f"/proc/{pid}/cmdline").read_bytes()[:10]]
    return pid


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_last_lines_are_not_lost(folder: Path, runner: Runner, number: signal.Signals) -> None:
    """Requests made just before the stop are in the log, and the exit code is nginx's."""
    async with slots(folder, [answers]):
        with running(Edge(folder, runner=runner)) as edge:
            for count in range(5):
                await exchange(edge.address, get(b"/%d" % count))
            assert edge.stop(number) == 0

    assert sorted(record["path"] for record in edge.records() if "path" in record) == [
        f"/{count}" for count in range(5)
    ]


@pytest.mark.parametrize("runner", RUNNERS)
async def test_start_that_fails(folder: Path, runner: Runner) -> None:
    """The exit code is nginx's, and its messages about a wrong configuration are JSON, too."""
    (folder / "slots.conf").write_text("nonsense on purpose;\n")
    edge = Edge(folder, runner=runner)
    edge.start()

    assert edge._process.wait(10) == 1
    assert any("nonsense" in record["message"] and record["level"] == "CRITICAL" for record in edge.records())


@pytest.mark.parametrize("early", [signal.SIGHUP, signal.SIGTERM])
async def test_signals_before_nginx_runs(folder: Path, early: signal.Signals) -> None:
    """A signal before nginx runs ends the image's script as it would end nginx; SIGHUP lets it start nginx."""
    here, go = folder / "here", folder / "go"
    slow = folder / "perl"  # the script calls it before it starts nginx
    slow.write_text(f"#!/bin/sh\n: >{here}\ntimeout 10 sh -c 'while [ ! -e {go} ]; do sleep 0.02; done'\n")
    slow.chmod(0o755)
    env = {"PATH": f"{folder}:{os.environ['PATH']}", "LOG_DIR": str(folder)}
    command = ["sh", str(NGINX_DIR / "logged.sh"), "sh", "-c", "echo began; exec sleep 20"]
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        await until(here.exists, 10)
        process.send_signal(early)
        go.touch()
        if early == signal.SIGHUP:
            assert b"began" in await asyncio.wait_for(process.stdout.readline(), 10)
            process.terminate()
        code = await asyncio.wait_for(process.wait(), 10)
        assert (code, await process.stdout.read()) == (128 + signal.SIGTERM if early == signal.SIGHUP else 0, b"")
    finally:
        with suppress(ProcessLookupError):
            process.kill()


@pytest.mark.parametrize("runner", RUNNERS)
async def test_signals_reach_nginx(folder: Path, runner: Runner) -> None:
    """SIGHUP to the front process makes nginx load a new configuration, and changes nothing else."""
    async with slots(folder, [answers]):
        with running(Edge(folder, runner=runner)) as edge:
            await until(lambda: children(edge.master), 10)
            before = {*children(edge.master)}
            edge.signal(signal.SIGHUP)
            await until(lambda: children(edge.master) and before.isdisjoint(children(edge.master)), 10)
            answer = await exchange(edge.address, get(b"/after"))

        assert answer.status == 200
        assert "/after" in [record.get("path") for record in edge.records()]


async def test_nginx_ends_with_the_process_before_it(folder: Path) -> None:
    """When the front process is killed, nginx ends with it, so that a new start finds the port free."""
    async with slots(folder, [answers]):
        with running(Edge(folder)) as edge:
            os.kill(edge.pid, signal.SIGKILL)
            await until(lambda: not edge.ready, 10)
            edge._process.wait(10)
            edge.start()
            edge.until_ready()

            assert (await exchange(edge.address, get(b"/"))).status == 200

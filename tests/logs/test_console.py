"""Lines for people: one record is one line, and nothing in it commands the terminal."""

import json

import pytest

from slipway.logs import console
from tests.harness.client import request
from tests.harness.stack import serving


def shown(**record: object) -> str:
    return console.readable(json.dumps(record).encode() + b"\n").decode()


def test_record() -> None:
    """A record is its time of day, level, logger, message and what else it holds."""
    line = shown(time="2026-11-26T10:00:00.123+00:00", level="WARNING", logger="app", message="low", left=3, pid=7)

    assert line[2:].split(":", 1)[1].split(" ", 1)[1] == "WARNI app            low left=3\n"
    assert line[8:12] == ".123"


def test_access_record() -> None:
    """An access record reads as a request: what was asked, what was answered, in what time, by which slot."""
    line = shown(
        logger="access", method="GET", path="/a", status=200, duration=0.0123, slot=1, request_id="id-1", pid=7
    )

    assert line.endswith(" access         GET /a 200 12.3 ms slot 1 id-1\n")


def test_traceback() -> None:
    """A traceback stands below its record, indented."""
    line = shown(level="ERROR", logger="app", message="failed", exc_info="Traceback:\n  x\nValueError: y")

    assert line.splitlines()[1:] == ["    Traceback:", "      x", "    ValueError: y"]


@pytest.mark.parametrize("line", [b"plain\n", b"[1]\n", b"7\n", b"\xff\xfe{\n", b"{\n", b"[" * 100_000 + b"\n", b"\n"])
def test_other_lines(line: bytes) -> None:
    """What is no JSON object stays as it is."""
    assert console.readable(line) == line


@pytest.mark.parametrize("value", ["\x1b[2J", "a\nb", "\x07", "\x9b0m", "\u2028"])
def test_commands_of_a_terminal(value: str) -> None:
    """What a client sends is shown escaped in one line."""
    line = shown(logger="access", method="GET", path=value, status=200)
    more = shown(logger="app", message="m", user=value)

    assert line.isprintable() or line[:-1].isprintable()
    assert more[:-1].isprintable()


@pytest.mark.parametrize("time", [None, "", 7, "yesterday", "9999-12-31T23:59:59-23:59", "2026-11-26T10:00:00"])
def test_odd_times(time: object) -> None:
    """A time that is none costs nothing but itself."""
    assert "kept" in shown(time=time, message="kept")


async def test_server_writes_for_people() -> None:
    """LOG_FORMAT=console: no line of the server is JSON, from its first to its last."""
    with serving(workers=1, ACCESS_LOG="1", LOG_FORMAT="console") as server:
        await request(server.address(), "GET", "/version")
        server.stop()
        lines = server.log().splitlines()

    assert any("GET /version " in line for line in lines)
    assert [line for line in lines if line.startswith("{")] == []
    assert "Starting gunicorn" in lines[0]

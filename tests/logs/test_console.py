"""Lines for people: each record is one line, and nothing in it controls the terminal."""

import json

import pytest

from slipway.logs import console
from tests.harness.client import request
from tests.harness.stack import serving


def shown(**record: object) -> str:
    return console.readable(json.dumps(record).encode() + b"\n").decode()


def test_record() -> None:
    """A record is shown as time of day, level, logger, message and its other fields."""
    line = shown(time="2026-11-26T10:00:00.123+00:00", level="WARNING", logger="app", message="low", left=3, pid=7)

    assert line[2:].split(":", 1)[1].split(" ", 1)[1] == "WARNI app            low left=3\n"
    assert line[8:12] == ".123"


def test_access_record() -> None:
    """An access record is shown as method, path, status, duration, slot and request id."""
    line = shown(
        logger="access", method="GET", path="/a", status=200, duration=0.0123, slot=1, request_id="id-1", pid=7
    )

    assert line.endswith(" access         GET /a 200 12.3 ms slot 1 id-1\n")


def test_traceback() -> None:
    """A traceback is shown indented below its record."""
    line = shown(level="ERROR", logger="app", message="failed", exc_info="Traceback:\n  x\nValueError: y")

    assert line.splitlines()[1:] == ["    Traceback:", "      x", "    ValueError: y"]


@pytest.mark.parametrize("line", [b"plain\n", b"[1]\n", b"7\n", b"\xff\xfe{\n", b"{\n", b"[" * 100_000 + b"\n", b"\n"])
def test_other_lines(line: bytes) -> None:
    """A line that is no JSON object is unchanged."""
    assert console.readable(line) == line


@pytest.mark.parametrize("value", ["\x1b[2J", "a\nb", "\x07", "\x9b0m", "\u2028"])
def test_commands_of_a_terminal(value: str) -> None:
    """Control characters from a client are shown escaped, in one line."""
    line = shown(logger="access", method="GET", path=value, status=200)
    more = shown(logger="app", message="m", user=value)

    assert line.isprintable() or line[:-1].isprintable()
    assert more[:-1].isprintable()


@pytest.mark.parametrize("time", [None, "", 7, "yesterday", "9999-12-31T23:59:59-23:59", "2026-11-26T10:00:00"])
def test_odd_times(time: object) -> None:
    """An invalid time does not keep the rest of the record from being shown."""
    assert "kept" in shown(time=time, message="kept")


async def test_server_writes_for_people() -> None:
    """With LOG_FORMAT=console no line of the server is JSON, from the first to the last."""
    with serving(workers=1, ACCESS_LOG="1", LOG_FORMAT="console") as server:
        await request(server.address(), "GET", "/version")
        server.stop()
        lines = server.log().splitlines()

    assert any("GET /version " in line for line in lines)
    assert [line for line in lines if line.startswith("{")] == []
    assert "Starting gunicorn" in lines[0]

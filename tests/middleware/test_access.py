"""The access record: one JSON line for each request, except health checks."""

import asyncio
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.logs import writer
from slipway.middleware.access import TOGETHER, AccessRecord
from slipway.middleware.counts import KINDS, Counts
from slipway.middleware.guard import Guard
from slipway.middleware.types import ASGIApp, Receive, Scope, Send
from tests.harness.driver import Conversation, http_scope, websocket_scope
from tests.harness.talking import strict

HEALTH = frozenset({"/livez", "/readyz", "/healthz"})
ANYTHING = st.text(st.characters(exclude_categories=()))  # lone surrogates included


class Unspeakable:
    """An object without a repr, as an app may leave it in a scope."""

    def __repr__(self) -> str:
        raise RuntimeError


AROUND: list[Any] = []
AROUND.append(AROUND)


def shown(text: str) -> str:
    """Return a text as a strict reader gets it: a lone surrogate becomes the text of its escape."""
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


async def greeting(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body", "body": b"Hello, World!"})


async def accepting(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    pass


@dataclass
class Written:
    """A log that makes delayed lines at once."""

    lines: list[bytes] = field(default_factory=list)

    def write(self, lines: bytes) -> None:
        self.lines += lines.splitlines(keepends=True)

    def write_later(self, make: Callable[[], bytes]) -> None:
        self.write(make())


def recorded(app: ASGIApp, record: AccessRecord) -> Guard:
    return Guard(app, Counts(dict.fromkeys(KINDS, 1)), record=record)


async def records(scope: Scope, app: ASGIApp = greeting, slot: int | None = 3) -> list[dict[str, Any]]:
    """Return the records of one run of an app."""
    written = Written()
    async with Conversation(recorded(app, AccessRecord(slot, written, HEALTH)), scope) as talk:
        talk.give("http.disconnect")
        await asyncio.wait_for(talk.task, 5)
    assert all(line.endswith(b"\n") for line in written.lines)
    return [strict(line) for line in written.lines]


async def test_request() -> None:
    """A record has the request, the client, the answer, the duration and the worker."""
    (record,) = await records(http_scope("POST", "/api/users?a=1", [(b"x-request-id", b"id-1")]))

    duration, moment = record.pop("duration"), datetime.fromisoformat(record.pop("time"))
    assert 0 <= record.pop("ttfb") <= duration < 1
    assert len(record["trace_id"]) == 32
    assert record.pop("trace_id")[:16] == record.pop("span_id")
    assert moment.tzinfo is not None
    assert record == {
        "level": "INFO",
        "logger": "access",
        "message": "request",
        "request_id": "id-1",
        "method": "POST",
        "route": None,
        "path": "/api/users",
        "status": 202,
        "bytes_in": 0,
        "bytes_out": 13,
        "client": "127.0.0.1",
        "slot": 3,
        "pid": os.getpid(),
    }


async def test_websocket() -> None:
    """A websocket's method is WEBSOCKET."""
    (record,) = await records(websocket_scope("/ws/echo"), accepting)

    assert (record["method"], record["status"]) == ("WEBSOCKET", 101)


async def test_nobody_waited_for_the_answer() -> None:
    """A request whose client left before the answer is a 499, as in nginx's own log."""
    (record,) = await records(http_scope("GET", "/"), silent)

    assert record["status"] == 499


async def test_no_slot_and_no_client() -> None:
    """The slot of a worker without one and the client without an address are null."""
    (record,) = await records({**http_scope("GET", "/"), "client": None}, slot=None)

    assert (record["slot"], record["client"]) == (None, None)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
async def test_health_checks_are_not_recorded(path: str) -> None:
    """Health checks are not recorded, since they come every few seconds and tell nothing."""
    assert await records(http_scope("GET", path)) == []


@given(ANYTHING, ANYTHING)
def test_any_path_is_one_line(path: str, client: str) -> None:
    """Nothing that a client sends begins another line or field."""
    (record,) = asyncio.run(records({**http_scope("GET", "/"), "path": f"/{path}", "client": (client, 1)}))

    assert (record["path"], record["client"]) == (shown(f"/{path}"), shown(client))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"client": (None, 1)}, {"client": None}),
        ({"client": ("127.0.0.1", "54786")}, {"client": "127.0.0.1"}),
        ({"client": ["::1", 1]}, {"client": "::1"}),
        ({"client": ()}, {"client": None}),
        ({"client": (b"raw", 1)}, {"client": "b'raw'"}),
        ({"client": 7}, {"client": 7}),
        ({"path": None}, {"path": None}),
        ({"path": b"/\xff"}, {"path": "b'/\\xff'"}),
        ({"method": 'G"ET'}, {"method": 'G"ET'}),
        ({"method": None}, {"method": None}),
        ({"path": ["/"]}, {"path": ["/"]}),
        ({"path": Unspeakable()}, {"path": "<Unspeakable without a repr>"}),
        ({"client": (Unspeakable(), 1)}, {"client": "<Unspeakable without a repr>"}),
        ({"method": AROUND}, {"method": "[[...]]"}),
        ({"route": "/\ud800"}, {"route": "/\\ud800"}),
    ],
)
async def test_strange_scope(members: dict[str, Any], expected: dict[str, Any]) -> None:
    """An invalid value in a scope is written as far as possible, in a record with the usual fields."""
    (record,) = await records({**http_scope("GET", "/"), **members})

    assert expected.items() <= record.items()
    assert list(record) == list((await records(http_scope("GET", "/")))[0])


@pytest.mark.parametrize("query", [None, "a=1", 7])
async def test_strange_query(query: object) -> None:
    """A query string that is not bytes is left out, even if queries are recorded."""
    log = Written()
    scope = {**http_scope("GET", "/"), "query_string": query}
    async with Conversation(recorded(greeting, AccessRecord(0, log, query=True)), scope) as talk:
        await asyncio.wait_for(talk.task, 5)

    assert strict(log.lines[0])["path"] == "/"


@pytest.mark.parametrize("missing", ["client", "path", "method"])
async def test_missing_keys(missing: str) -> None:
    """A key that the scope lacks is null; without a method the request counts as a websocket."""
    scope = http_scope("GET", "/")
    del scope[missing]
    (record,) = await records(scope)

    assert record[missing] == ("WEBSOCKET" if missing == "method" else None)


async def test_strange_status() -> None:
    """A status that is no number is the app's error, and the line is still JSON."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": "200", "headers": []})

    (record,) = await records(http_scope("GET", "/"), app)

    assert record["status"] == "200"


@dataclass
class Busy(Written):
    """A log that makes delayed lines when the test asks."""

    asked: list[Callable[[], bytes]] = field(default_factory=list)

    def write_later(self, make: Callable[[], bytes]) -> None:
        self.asked.append(make)


async def test_many_at_once() -> None:
    """Lines are made in batches, each once and in order; the log is asked only once to fetch the rest."""
    log = Busy()
    record = AccessRecord(0, log)
    for number in range(3 * TOGETHER + 5):
        async with Conversation(recorded(greeting, record), http_scope("GET", f"/{number}")) as talk:
            await asyncio.wait_for(talk.task, 5)
    assert len(log.lines) == 3 * TOGETHER
    assert len(log.asked) == 1

    log.write(log.asked.pop()())
    assert [json.loads(line)["path"] for line in log.lines] == [f"/{number}" for number in range(3 * TOGETHER + 5)]

    async with Conversation(recorded(greeting, record), http_scope("GET", "/more")) as talk:
        await asyncio.wait_for(talk.task, 5)
    assert json.loads(log.asked.pop()())["path"] == "/more"


async def test_written_to_the_log() -> None:
    """By default a record goes to stdout by the process's log writer, like all lines."""
    reader, end = os.pipe()
    saved = os.dup(1)
    os.dup2(end, 1)
    try:
        async with Conversation(recorded(greeting, AccessRecord(0)), http_scope("GET", "/")) as talk:
            await asyncio.wait_for(talk.task, 5)
        writer.flush()
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(end)
    line = os.read(reader, 10_000)
    os.close(reader)

    assert json.loads(line)["path"] == "/"

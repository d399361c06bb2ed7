"""The trace of a request, and its ids in the log records of the request."""

import json
import logging

import pytest

from slipway.logs import handler
from slipway.middleware import trace
from slipway.middleware.counts import KINDS, Counts
from slipway.middleware.exchange import Exchange
from slipway.middleware.guard import Guard
from slipway.middleware.types import Message, Receive, Scope, Send
from tests.harness.driver import http_scope

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OWN = "a" * 32


async def nowhere(message: Message) -> None:
    pass


def exchange(**fields: str) -> Exchange:
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    return Exchange("http", headers, Counts(dict.fromkeys(KINDS, 10)))


def test_new_trace() -> None:
    """Without a `traceparent` the request's id is also the trace's, so that nginx's log has it."""
    found = exchange(x_request_id=OWN)

    assert (found.request_id, found.trace_id, found.span_id, found.parent) == (OWN, OWN, OWN[:16], None)


def test_no_id_at_all() -> None:
    """On a worker's own socket, without nginx, the request's new id is also the trace's."""
    found = exchange()

    assert found.request_id == found.trace_id
    assert trace.is_own(found.trace_id.encode())


def test_trace_of_the_caller() -> None:
    """A `traceparent` is honoured, and the request is a new span in it."""
    found = exchange(x_request_id=OWN, traceparent=f"00-{TRACE}-{SPAN}-00")

    assert (found.trace_id, found.span_id) == (TRACE, OWN[:16])
    assert found.parent == trace.Parent(TRACE, SPAN, sampled=False)


@pytest.mark.parametrize("request_id", ["id-1", "A" * 32, "g" * 32, "0" * 32, "", "\xff", "a" * 65])
def test_id_that_is_no_trace(request_id: str) -> None:
    """If the id is no valid trace id, the trace gets a new one."""
    found = exchange(x_request_id=request_id)

    assert trace.is_own(found.trace_id.encode())
    assert found.span_id == found.trace_id[:16]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"0g-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
    ],
)
def test_malformed(value: str) -> None:
    """A malformed `traceparent` is ignored."""
    assert trace.parent(value.encode()) is None


@pytest.mark.parametrize("value", [f"01-{TRACE}-{SPAN}-03", f"cc-{TRACE}-{SPAN}-01-what-comes"])
def test_later_versions(value: str) -> None:
    """Additional fields of later versions are ignored."""
    assert trace.parent(value.encode()) == trace.Parent(TRACE, SPAN, sampled=True)


async def test_records_of_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that an app logs in a request have the request's ids; records outside have none."""
    lines: list[bytes] = []
    monkeypatch.setattr(handler, "write", lines.append)
    monkeypatch.setattr(handler, "_context", trace.fields)
    ours = handler.Handler()
    ours.setFormatter(handler.Formatter("%(levelname)s %(message)s", timestamp="time"))
    logger = logging.getLogger("test.trace")
    logger.addHandler(ours)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        logger.warning("within")
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Message:
        raise AssertionError

    logger.warning("without")
    await Guard(app, Counts(dict.fromkeys(KINDS, 10)))(
        http_scope("GET", "/", [(b"x-request-id", OWN.encode())]), receive, nowhere
    )
    logger.removeHandler(ours)
    without, within = (json.loads(line) for line in lines)

    assert "request_id" not in without
    assert (within["request_id"], within["trace_id"], within["span_id"]) == (OWN, OWN, OWN[:16])

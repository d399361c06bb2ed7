"""Spans reach a collector: one of each request, in the caller's trace, the last ones before a stop included."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.harness.client import request
from tests.harness.stack import behind_nginx, serving
from tests.live.sites import SHORT, Site, source

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
APP = """
from opentelemetry import trace
from tests.live.lifespan import lifespan

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    scope["route"] = "/items/{id}"
    with trace.get_tracer("shop").start_as_current_span("work"):
        if scope["path"] == "/items/bad":
            raise ValueError("on purpose")
        await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


class Collector:
    """A collector of spans; a `silent` one never answers."""

    def __init__(self, *, silent: bool = False) -> None:
        self.spans: list[Any] = []
        collector, self.released = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if silent:
                    collector.released.wait(60)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans.extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def by_name(self) -> dict[str, Any]:
        return {span.name: span for span in self.spans}


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()
    yield found
    found.close()


def options(folder: Path, collector: Collector) -> dict[str, str]:
    (folder / "traced_shop.py").write_text(APP)
    return {
        "PYTHONPATH": str(folder),
        "PRESTART": "none",
        "ACCESS_LOG": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        **SHORT,
    }


async def test_spans(tmp_path: Path, collector: Collector) -> None:
    """A request through nginx has a span in the caller's trace, with its record's ids, and the app's own span in it."""
    with (
        serving("traced_shop:application", workers=1, **options(tmp_path, collector)) as server,
        behind_nginx(server) as proxy,
    ):
        answer = await request(proxy.address, "GET", "/items/1?secret=1", b"", f"traceparent: 00-{TRACE}-{SPAN}-01")
        code = await asyncio.to_thread(server.stop)
        (record,) = [json.loads(line) for line in server.log().splitlines() if '"logger":"access"' in line]

    spans = collector.by_name()
    root, work = spans["GET /items/{id}"], spans["work"]
    attributes = {each.key: each.value.string_value or each.value.int_value for each in root.attributes}
    assert (answer.status, code) == (200, 0)
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == (TRACE, SPAN)
    assert (record["trace_id"], record["span_id"]) == (TRACE, root.span_id.hex())
    assert (work.trace_id, work.parent_span_id) == (root.trace_id, root.span_id)
    assert attributes["http.response.status_code"] == 200
    assert attributes["request.id"] == answer.headers["x-request-id"]
    assert attributes["url.path"] == "/items/1"


async def test_new_trace_and_failure(tmp_path: Path, collector: Collector) -> None:
    """Without a caller's trace the span is a root with the request's id, and it records a failure."""
    with serving("traced_shop:application", workers=1, **options(tmp_path, collector)) as server:
        answer = await request(server.address(), "GET", "/items/bad")
        await asyncio.to_thread(server.stop)

    root = collector.by_name()["GET /items/{id}"]
    assert answer.status == 500
    assert (root.trace_id.hex(), root.parent_span_id) == (answer.headers["x-request-id"], b"")
    assert root.status.code == 2
    assert [event.name for event in root.events] == ["exception"]


async def test_not_sampled(tmp_path: Path, collector: Collector) -> None:
    """A request that the caller does not sample sends no span."""
    with serving("traced_shop:application", workers=1, **options(tmp_path, collector)) as server:
        await request(server.address(), "GET", "/items/1", b"", f"traceparent: 00-{TRACE}-{SPAN}-00")
        await asyncio.to_thread(server.stop)

    assert collector.spans == []


async def test_collector_that_does_not_answer(tmp_path: Path) -> None:
    """With a collector that does not answer, requests are served, and the stop is in time and clean."""
    silent = Collector(silent=True)
    try:
        with serving("traced_shop:application", workers=1, **options(tmp_path, silent)) as server:
            answer = await request(server.address(), "GET", "/items/1")
            code = await asyncio.to_thread(server.stop)
    finally:
        silent.close()

    assert (answer.status, code) == (200, 0)


async def test_off_costs_nothing(tmp_path: Path) -> None:
    """Without a collector's address no worker has a module of OpenTelemetry's or a thread for it."""
    site = Site(tmp_path)
    site.write(source(body="import sys; assert not [name for name in sys.modules if name.startswith('opentelemetry')]"))
    with serving(site.name, workers=1, **site.options) as server:
        answer = await request(server.address(), "GET", "/")
        (pid,) = server.pids()
        threads = threads_of(pid)

    assert answer.body == b"old"
    assert not [name for name in threads if "otel" in name.lower() or "span" in name.lower()], threads


def threads_of(pid: int) -> list[str]:
    """Return the names of a process's threads."""
    return [path.read_text().strip() for path in Path(f"/proc/{pid}/task").glob("*/comm")]

"""One request, two records: nginx's and the worker's, with the same fields, joined by the id that the client got."""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.harness.client import Answer, request
from tests.harness.edge import exchange, message
from tests.harness.processes import until
from tests.harness.stack import Nginx, Server, behind_nginx, serving
from tests.live.sites import SHORT

APP = """
import logging, time
from tests.live.lifespan import lifespan

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    scope["route"] = "/items/{id}"
    while scope["path"] != "/items/fail" and (await receive()).get("more_body"):
        pass
    if scope["path"] == "/items/fail":
        logging.getLogger("shop").warning("about to fail")
        raise LookupError("on purpose")
    status = 200 if scope["path"] == "/ready" else 201
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"12")]})
    await send({"type": "http.response.body", "body": b"twelve bytes"})
"""
# The fields of both with their types; only the worker knows the route.
TEXTS = ("time", "level", "logger", "message", "request_id", "trace_id", "span_id", "method", "path", "client")
WHOLE = ("pid", "status", "bytes_in", "bytes_out", "slot")
FIELDS = dict.fromkeys(TEXTS, str) | dict.fromkeys(WHOLE, int) | {"duration": float, "ttfb": float}
OF_NGINX = {"upstream": str, "upstream_status": str, "upstream_time": str, "tries": int, "protocol": str}
SAME = ("request_id", "trace_id", "span_id", "method", "path", "status", "client", "slot", "message", "level")
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(APP)
    options = {"PYTHONPATH": str(folder), "PRESTART": "none", "ACCESS_LOG": "1", "READY_PATH": "/ready", **SHORT}
    with serving("shop:application", workers=2, **options) as server:
        yield server


@pytest.fixture(scope="module")
def nginx(server: Server) -> Iterator[Nginx]:
    with behind_nginx(server) as nginx:
        yield nginx


def said(process: Server | Nginx, request_id: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.log().splitlines() if request_id in line]


async def records(server: Server, nginx: Nginx, answer: Answer) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return nginx's and the worker's record of one answer, each of which must occur once."""
    request_id = answer.headers["x-request-id"]
    await until(lambda: said(nginx, request_id) and said(server, request_id), 5)
    (of_nginx,) = said(nginx, request_id)
    (of_worker,) = [record for record in said(server, request_id) if record["logger"] == "access"]
    return of_nginx, of_worker


@pytest.mark.parametrize("parent", ["", f"traceparent: 00-{TRACE}-b7ad6b7169203331-01"])
async def test_same_fields(server: Server, nginx: Nginx, parent: str) -> None:
    """Every field is in both records with the same type, and fields about the same fact have the same value."""
    fields = [parent] if parent else []
    answer = await request(nginx.address, "POST", "/items/7", b"x" * 1_000, *fields)
    of_nginx, of_worker = await records(server, nginx, answer)

    for name, kind in FIELDS.items():
        assert isinstance(of_nginx[name], kind), name
        assert isinstance(of_worker[name], kind), name
    for name in SAME:
        assert of_nginx[name] == of_worker[name], name
    assert all(isinstance(of_nginx[name], kind) for name, kind in OF_NGINX.items())
    assert (of_worker["route"], of_worker["bytes_in"]) == ("/items/{id}", 1_000)
    assert of_nginx["bytes_out"] == of_worker["bytes_out"] == 12
    assert of_nginx["bytes_in"] > 1_000
    assert of_worker["pid"] in server.pids()
    assert (of_nginx["logger"], of_worker["logger"], of_nginx["tries"]) == ("nginx", "access", 1)
    if parent:
        assert of_nginx["trace_id"] == TRACE
    for record in (of_nginx, of_worker):
        assert datetime.fromisoformat(record["time"]).utcoffset() is not None
        assert 0 <= record["ttfb"] <= record["duration"] + 0.001 < 5
        assert re.fullmatch("[0-9a-f]{32}", record["trace_id"])
        assert re.fullmatch("[0-9a-f]{16}", record["span_id"])


async def test_each_slot_is_named(server: Server, nginx: Nginx) -> None:
    """nginx's record names the slot whose worker has answered."""
    answered = [await request(nginx.address, "GET", "/items/1") for _ in range(20)]
    pairs = [await records(server, nginx, answer) for answer in answered]

    assert {of_nginx["slot"] for of_nginx, _ in pairs} == {0, 1}
    assert [of_nginx["slot"] for of_nginx, _ in pairs] == [of_worker["slot"] for _, of_worker in pairs]


async def test_what_nginx_answers_itself(server: Server, nginx: Nginx) -> None:
    """nginx's own answer has a record without slot and first byte, none at a worker, and the id in its body."""
    answer = await request(nginx.address, "GET", "/" + "x" * 8_100)
    request_id = answer.headers["x-request-id"]
    await until(lambda: said(nginx, request_id), 5)
    (record,) = said(nginx, request_id)

    assert (record["status"], record["slot"], record["ttfb"], record["tries"]) == (414, None, None, 0)
    assert json.loads(answer.body)["request_id"] == request_id
    assert said(server, request_id) == []


async def test_health_checks_are_silent(server: Server, nginx: Nginx) -> None:
    """Neither nginx nor the worker records health checks, which come every few seconds."""
    checked = await request(nginx.address, "GET", "/ready")
    await records(server, nginx, await request(nginx.address, "GET", "/items/3"))

    assert checked.status == 200
    assert said(nginx, '"path":"/ready"') == said(server, '"path":"/ready"') == []


async def test_unhandled_error(server: Server, nginx: Nginx) -> None:
    """An unhandled error leaves its traceback in one record, with the ids of all other records of the request."""
    answer = await request(nginx.address, "GET", "/items/fail")
    of_nginx, of_worker = await records(server, nginx, answer)
    those = said(server, of_nginx["request_id"])
    (failed,) = [record for record in those if "exc_info" in record]

    assert (answer.status, json.loads(answer.body)["request_id"]) == (500, of_nginx["request_id"])
    assert failed["exc_info"].startswith("Traceback")
    assert failed["exc_info"].rstrip().endswith("LookupError: on purpose")
    assert {record["message"] for record in those} >= {"about to fail", "request failed"}
    for name in ("request_id", "trace_id", "span_id"):
        assert {record[name] for record in (*those, of_nginx)} == {of_worker[name]}


async def test_raw_request(server: Server, nginx: Nginx) -> None:
    """A client's own id does not become the request's."""
    data = message("GET", "/items/2").replace(b"\r\n\r\n", b"\r\nX-Request-ID: mine\r\n\r\n")
    answer = await exchange(nginx.address, data)

    assert answer.fields["x-request-id"] != "mine"
    assert said(server, '"mine"') == []

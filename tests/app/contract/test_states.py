"""Other settings and states of the app, in this process: the server makes no difference to them."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.asgi.routing import Route
from app.config import AppSettings
from app.main import BENCH_ROUTES, create_app
from app.services import database
from slipway.middleware.guard import guarded
from slipway.middleware.settings import GuardSettings
from tests.app.contract.stacks import InProcess, Refused
from tests.app.contract.test_users import is_problem
from tests.harness.driver import request


@pytest.fixture
async def direct(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcess]:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_SECONDS", 0.05)
    stack = InProcess(folder)
    async with stack.lifespan():
        yield stack


@pytest.mark.parametrize("route", BENCH_ROUTES, ids=lambda route: route.path)
async def test_no_bench_routes_by_default(folder: Path, route: Route) -> None:
    """The benchmark's routes exist only if a setting enables them."""
    app = create_app(AppSettings.from_environment({"DATA_DIR": str(folder)}))

    is_problem(await request(app, route.method, route.path), 404)


async def test_draining(direct: InProcess) -> None:
    """A draining worker is alive and not ready, and ends its event streams with a `retry` hint."""
    async with direct.events("/events") as events:
        assert (await anext(events)).name == "hello"
        direct.draining.set()
        assert [event async for event in events if event.name == "message"] == []
    answer = await direct.get("/readyz")

    assert (answer.status, answer.header("retry-after")) == (503, "1")
    assert answer.header("cache-control") == "no-store"
    assert answer.json()["status"] == "fail"
    assert answer.json()["checks"]["draining"] == "fail"
    assert (await direct.get("/livez")).status == 200


async def test_database_is_locked(direct: InProcess, folder: Path) -> None:
    """While another process holds the database, reading works, and writing is a 503 with `Retry-After`."""
    other = sqlite3.connect(folder / "slipway.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    page, ready = await direct.get("/api/users"), await direct.get("/readyz")
    refused = await direct.post("/api/users", {"name": "Ann"})
    other.execute("ROLLBACK")
    other.close()

    assert (page.status, ready.status) == (200, 200)
    is_problem(refused, 503)
    assert refused.header("retry-after") == "1"
    assert (await direct.post("/api/users", {"name": "Ann"})).status == 201


async def test_no_more_than_it_can_serve(folder: Path) -> None:
    """Streams and websockets over the server's limits are refused with 503; requests and health checks are served."""
    stack = InProcess(folder)
    limits = dict.fromkeys(["MAX_REQUESTS_IN_FLIGHT", "MAX_STREAMS", "MAX_WEBSOCKETS"], "1")
    stack.app = guarded(stack.app, GuardSettings.from_environment({**limits, "ACCESS_LOG": "0"}), None)
    async with stack.lifespan(), stack.events("/events") as events, stack.websocket("/ws/echo"):
        await anext(events)
        is_problem(await stack.get("/events"), 503)
        assert (await stack.get("/version")).status == 200
        with pytest.raises(Refused) as caught:
            async with stack.websocket("/ws/echo"):
                pass
        is_problem(caught.value.answer, 503)
        assert (await stack.get("/readyz")).status == 200

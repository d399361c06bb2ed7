"""The lifespan: what it puts in the state, and how its failures are reported."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.asgi.lifespan import Lifespan
from app.asgi.types import Receive, Scope, Send
from tests.harness.driver import Conversation, http_scope


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "inner", "of": scope["type"]})


def lifespan_scope(state: dict[str, Any]) -> Scope:
    return {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}


async def test_state() -> None:
    """The context gets the server's state, and the mapping that it yields is added before the startup is complete."""
    log: list[str] = []

    @asynccontextmanager
    async def context(state: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        log.append(f"up {state}")
        yield {"services": 1}
        log.append("down")

    state: dict[str, Any] = {"draining": 0}
    async with Conversation(Lifespan(inner, context), lifespan_scope(state)) as talk:
        await talk.nothing()
        assert log == []
        talk.give("lifespan.startup")
        assert await talk.take() == {"type": "lifespan.startup.complete"}
        assert state == {"draining": 0, "services": 1}
        await talk.nothing()
        assert log == ["up {'draining': 0}"]
        talk.give("lifespan.shutdown")
        assert await talk.take() == {"type": "lifespan.shutdown.complete"}
        assert log[1:] == ["down"]
        await talk.end()


async def test_server_without_state() -> None:
    """A server that gives no state gets one in the scope."""

    @asynccontextmanager
    async def context(state: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        yield {"a": 1}

    scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
    async with Conversation(Lifespan(inner, context), scope) as talk:
        talk.give("lifespan.startup")
        await talk.take("lifespan.startup.complete")

    assert scope["state"] == {"a": 1}


class Fatal(BaseException):
    pass


@pytest.mark.parametrize("error", [OSError("no database"), Fatal("no database")])
async def test_startup_fails(error: BaseException) -> None:
    """A failed startup is reported to the server with its reason, and then raised."""

    @asynccontextmanager
    async def context(state: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        if error:
            raise error
        yield {}

    async with Conversation(Lifespan(inner, context), lifespan_scope({})) as talk:
        talk.give("lifespan.startup")
        failed = await talk.take("lifespan.startup.failed")
        assert failed["message"] == f"{type(error).__name__}: no database"
        with pytest.raises(type(error), match="no database"):
            await talk.end()


async def test_shutdown_fails() -> None:
    """A failed shutdown is reported to the server with its reason, and then raised."""

    @asynccontextmanager
    async def context(state: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        yield {}
        raise OSError("disk full")

    async with Conversation(Lifespan(inner, context), lifespan_scope({})) as talk:
        talk.give("lifespan.startup")
        await talk.take("lifespan.startup.complete")
        talk.give("lifespan.shutdown")
        failed = await talk.take("lifespan.shutdown.failed")
        assert failed["message"] == "OSError: disk full"
        with pytest.raises(OSError, match="disk full"):
            await talk.end()


@pytest.mark.parametrize("kind", ["http", "websocket", "unheard-of"])
async def test_everything_else_goes_through(kind: str) -> None:
    """Any other scope type is passed to the inner app, and the context is not entered."""
    entered: list[int] = []

    @asynccontextmanager
    async def context(state: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        entered.append(1)
        yield {}

    async with Conversation(Lifespan(inner, context), {**http_scope("GET", "/"), "type": kind}) as talk:
        assert await talk.take() == {"type": "inner", "of": kind}
        await talk.end()

    assert entered == []

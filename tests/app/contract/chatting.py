"""Clients of the chat and of its event stream."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

from tests.app.contract.stacks import Event, Socket, Stack
from tests.harness.processes import pause

SECONDS = 10.0
Line = dict[str, Any]  # one message of the chat


def new_text() -> str:
    """Return a text that no other test has sent."""
    return uuid4().hex


async def say(socket: Socket, message: str, user: str = "ann") -> None:
    await socket.send(json.dumps({"user": user, "message": message}))


async def hear(socket: Socket) -> Line:
    """Return the next message of the chat; skip `hello` and the bus's state, which are sent unasked."""
    while True:
        line: Line = await socket.json()
        if line.get("type") not in ("hello", "bus"):
            return line


async def hear_until(socket: Socket, last: str) -> list[Line]:
    """Return everything up to a message with this text."""
    lines = [await hear(socket)]
    while lines[-1].get("message") != last:
        lines.append(await hear(socket))
    return lines


async def come_in(speaker: Socket, *others: Socket) -> None:
    """Wait until all have heard what was said before they connected: other workers' messages may arrive a bit later."""
    text = new_text()
    await say(speaker, text)
    for client in (speaker, *others):
        await hear_until(client, text)


async def read_until(events: AsyncIterator[Event], last: str) -> list[Event]:
    """Return the messages and resets up to a message with this text."""
    found = []
    async for event in events:
        if event.name in ("message", "reset"):
            found.append(event)
            if json.loads(event.data).get("message") == last:
                return found
    raise AssertionError(f"the stream ended before {last}")


async def clients_of_all_workers(stack: Stack, clients: AsyncExitStack) -> list[Socket]:
    """Connect to the chat until each worker has a client; one client for each worker, but at least two."""
    by_pid: dict[int, Socket] = {}
    others: list[Socket] = []
    end = time.monotonic() + SECONDS
    while len(by_pid) < stack.workers:
        assert time.monotonic() < end, f"{len(others)} connections reached only the workers {list(by_pid)}"
        socket = await clients.enter_async_context(stack.websocket("/ws/chat"))
        hello = await socket.json()
        assert hello["type"] == "hello"
        if hello["pid"] in by_pid:
            others.append(socket)
            await pause()  # of a shared listener, a worker that the system lets wait gets no connection
        by_pid.setdefault(hello["pid"], socket)
    found = list(by_pid.values())
    if len(found) == 1:
        found.append(await clients.enter_async_context(stack.websocket("/ws/chat")))
    return found

"""A small chat with known faults that load tests must notice. Loopback only; it ends with its test."""

import asyncio
import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from tests.harness.processes import free_ports

RESTART = 1012  # RFC 6455, IANA's registry of close codes


@dataclass
class Client:
    """A connection, and the numbers of the messages still to be sent to it; None ends it."""

    way: str
    number: int  # among the clients of the same way
    said: set[int] = field(default_factory=set)
    queue: asyncio.Queue[int | None] = field(default_factory=asyncio.Queue)


Deliver = Callable[[int, Client], list[int]]  # a message's number and a client: the numbers to send to it now


def honest(number: int, client: Client) -> list[int]:
    """Deliver each message to each client."""
    return [number]


@dataclass
class Chat:
    """The app: one log in memory, numbered from 1."""

    deliver: Deliver = honest
    restart_each: int = 0  # messages before the next one of a new speaker closes all connections, undelivered
    skew: int = 0  # messages that a resuming client is not sent; negative: that it is sent again

    def __post_init__(self) -> None:
        self.log: list[str] = [""]
        self.keys: dict[str, int] = {}
        self.clients: list[Client] = []
        self.came: Counter[str] = Counter()
        self.since_restart = 0
        self.restarted: set[str] = set()  # the speakers whose messages caused a restart

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self.websocket(scope, receive, send)
        elif scope["type"] == "http":
            await (self.events if scope["path"] == "/events" else ok)(scope, receive, send)

    async def websocket(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": '{"type":"hello"}'})
        with self.joined("websocket", scope["query_string"].decode().partition("after=")[2]) as client:
            writer = asyncio.create_task(self.write(client, send))
            while (message := await receive())["type"] == "websocket.receive":
                self.take(client, json.loads(message["text"]))
            writer.cancel()

    async def write(self, client: Client, send: Any) -> None:
        while (number := await client.queue.get()) is not None:
            await send({"type": "websocket.send", "text": self.log[number]})
        await send({"type": "websocket.close", "code": RESTART})

    async def events(self, scope: Any, receive: Any, send: Any) -> None:
        after = dict(scope["headers"]).get(b"last-event-id", b"").decode()
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"event: hello\ndata: {}\n\n", "more_body": True})
        with self.joined("events", after) as client:
            while (number := await client.queue.get()) is not None:
                event = f"id: e-{number}\ndata: {self.log[number]}\n\n".encode()
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    @contextlib.contextmanager
    def joined(self, way: str, after: str) -> Iterator[Client]:
        """Add a client, with the messages that it missed in its queue."""
        client = Client(way, self.came[way])
        self.came[way] += 1
        missed = int(after.rpartition("-")[2]) + 1 + self.skew if after else len(self.log)
        for number in range(max(1, missed), len(self.log)):
            client.queue.put_nowait(number)
        self.clients.append(client)
        try:
            yield client
        finally:
            self.clients.remove(client)

    def take(self, client: Client, message: dict[str, str]) -> None:
        """Keep a message, once for each key, and deliver it with the chosen fault."""
        if message["key"] in self.keys:
            return
        number = self.keys[message["key"]] = len(self.log)
        self.log.append(json.dumps({**message, "id": f"e-{number}"}))
        client.said.add(number)
        self.since_restart += 1
        speaker = message["key"].rpartition("-")[0]
        ways = {each.way for each in self.clients}
        restart = 0 < self.restart_each <= self.since_restart and len(ways) == 2 and speaker not in self.restarted
        if restart:
            self.since_restart = 0
            self.restarted.add(speaker)
        for each in self.clients:
            for due in [None] if restart else self.deliver(number, each):
                each.queue.put_nowait(due)


async def ok(scope: Any, receive: Any, send: Any) -> None:
    """Answer the check of a load test before it begins."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an app in a thread; yield its address."""
    port = free_ports()
    config = uvicorn.Config(app, port=port, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)

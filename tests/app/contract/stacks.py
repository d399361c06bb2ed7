"""The same app under four servers, called in the same way.

Rules: 127.0.0.1 and free ports only, every wait is bounded, and only processes started here are ended, by their pid.
"""

import asyncio
import json
import os
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from app.asgi.types import Header, Receive, Scope, Send
from app.config import AppSettings
from app.main import create_app
from tests.app.contract.described import untruths
from tests.harness import stack as servers
from tests.harness.driver import Answer, Conversation, http_scope, request, websocket_scope
from tests.harness.processes import Process, running, short_folder

SECONDS = 10.0  # to wait for anything expected
MAX_BODY_BYTES = 10_000
VARIABLES: dict[str, Any] = {
    "BENCH_ENDPOINTS": "1",
    "ACCESS_LOG": "1",
    "MAX_BODY_BYTES": str(MAX_BODY_BYTES),
    "MESSAGES_PER_SECOND": "100000",  # the limit is tested in tests/app/shared_state
    "ALLOWED_ORIGINS": "https://a.example",
}


class Closed(Exception):
    """The server has closed the websocket."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Event(NamedTuple):
    """One server-sent event."""

    name: str
    id: str | None
    data: str


class Socket(ABC):
    """The client's end of a websocket."""

    @abstractmethod
    async def send(self, data: str | bytes) -> None: ...

    @abstractmethod
    async def receive(self) -> str | bytes:
        """Return the next message; raise Closed at the end."""

    async def json(self) -> Any:
        return json.loads(await self.receive())

    async def code(self) -> int:
        """Read to the end and return the server's close code."""
        try:
            while True:
                await self.receive()
        except Closed as closed:
            return closed.code


class Stack(ABC):
    """A server with the app, and how to call it."""

    name: str
    workers = 1
    private = True  # whether private paths can be asked for
    takes_request_id = True  # whether a client's X-Request-ID is kept
    records = False  # whether the server writes an access record

    @property
    def log(self) -> str:
        """What the server has written so far."""
        return ""

    async def get(self, target: str, *headers: Header) -> Answer:
        return await self.request("GET", target, headers)

    async def post(self, target: str, data: object, *headers: Header) -> Answer:
        body = json.dumps(data).encode()
        return await self.request("POST", target, [(b"content-type", b"application/json"), *headers], [body])

    async def request(
        self,
        method: str,
        target: str,
        headers: Sequence[Header] = (),
        body: Sequence[bytes] = (),
        *,
        chunked: bool = False,
    ) -> Answer:
        """Send one request, its target unchanged, the body with its length or in chunks; return the answer.

        The answer must match openapi.json.
        """
        answer = await self.exchange(method, target, headers, body, chunked=chunked)
        assert untruths(method, target, answer) == []
        return answer

    @abstractmethod
    async def exchange(
        self, method: str, target: str, headers: Sequence[Header], body: Sequence[bytes], *, chunked: bool
    ) -> Answer:
        """Do the same for any answer, described or not."""

    @abstractmethod
    def websocket(self, target: str, *headers: Header, **options: Any) -> AbstractAsyncContextManager[Socket]:
        """Return an accepted websocket, or raise Refused. The options go to the client library, if there is one."""

    @abstractmethod
    def events(self, target: str, *headers: Header) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Yield an event stream, without the comments."""


class Refused(Exception):
    """The handshake was refused with this answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


# In this process


class InProcess(Stack):
    """No server: the app is called directly, over httpx's transport and with single ASGI messages."""

    name = "in-process"

    def __init__(self, folder: Path, **variables: str) -> None:
        self.draining = asyncio.Event()
        self.state: dict[str, Any] = {"draining": self.draining}
        variables = {**VARIABLES, "DATA_DIR": str(folder), **variables}
        self.app = create_app(AppSettings.from_environment(variables))
        transport = httpx.ASGITransport(self._with_state)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")

    async def _with_state(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"] = self.state.copy()
        await self.app(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Run the app's startup and shutdown."""
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}
        async with Conversation(self.app, scope) as talk, self._client:
            talk.give("lifespan.startup")
            await talk.take("lifespan.startup.complete", SECONDS)
            yield
            talk.give("lifespan.shutdown")
            await talk.take("lifespan.shutdown.complete", SECONDS)
            await talk.end()

    async def exchange(
        self, method: str, target: str, headers: Sequence[Header], body: Sequence[bytes], *, chunked: bool
    ) -> Answer:
        length = [] if chunked else [(b"content-length", b"%d" % sum(map(len, body)))]
        if self._client.build_request(method, target).url.raw_path != target.encode():  # httpx tidies up odd targets
            pieces = body or (b"",)
            return await request(self._with_state, method, target, [(b"host", b"127.0.0.1"), *headers, *length], pieces)
        answer = await self._client.request(method, target, headers=[*headers, *length], content=pieces_of(body))
        return answer_of(answer, answer.content)

    @asynccontextmanager
    async def websocket(self, target: str, *headers: Header, **options: Any) -> AsyncGenerator[Socket, None]:
        scope = websocket_scope(target, [(b"host", b"127.0.0.1"), *headers])
        async with Conversation(self._with_state, scope) as talk:
            talk.give("websocket.connect")
            answer = await talk.take()
            if answer["type"] == "websocket.http.response.start":
                body = await talk.take("websocket.http.response.body")
                raise Refused(Answer(answer["status"], answer["headers"], body["body"]))
            assert answer["type"] == "websocket.accept"
            yield _DirectSocket(talk)
            talk.give("websocket.disconnect", code=1000)

    @asynccontextmanager
    async def events(self, target: str, *headers: Header) -> AsyncGenerator[AsyncIterator[Event], None]:
        async def chunks() -> AsyncIterator[bytes]:
            while True:
                message = await talk.take("http.response.body", SECONDS)
                yield message["body"]
                if not message.get("more_body", False):
                    return

        async with Conversation(self._with_state, http_scope("GET", target, headers)) as talk:
            talk.give("http.request", body=b"", more_body=False)
            start = await talk.take("http.response.start")
            assert dict(start["headers"])[b"content-type"] == b"text/event-stream; charset=utf-8"
            yield parsed(chunks())
            talk.give("http.disconnect")


class _DirectSocket(Socket):
    def __init__(self, talk: Conversation) -> None:
        self._talk = talk

    async def send(self, data: str | bytes) -> None:
        self._talk.give("websocket.receive", **{"text" if isinstance(data, str) else "bytes": data})

    async def receive(self) -> str | bytes:
        message = await self._talk.take(seconds=SECONDS)
        if message["type"] == "websocket.close":
            raise Closed(message["code"])
        data: str | bytes = message["text"] if "text" in message else message["bytes"]
        return data


# Over the network


class Served(Stack):
    """A server that listens on 127.0.0.1."""

    def __init__(self, url: str, processes: Sequence[Process]) -> None:
        self.url = url
        self._processes = processes
        limits = httpx.Limits(max_connections=20)
        self._client = httpx.AsyncClient(
            base_url=url, timeout=SECONDS, limits=limits, verify=ssl.create_default_context()
        )
        self._client.headers["accept-encoding"] = "identity"

    @property
    def log(self) -> str:
        return "\n".join(process.log() for process in self._processes)

    @classmethod
    @abstractmethod
    def serve(cls, folder: Path) -> AbstractContextManager["Served"]:
        """Start the server on a free port, with its files in a folder, and end it."""

    async def close(self) -> None:
        await self._client.aclose()

    async def exchange(
        self, method: str, target: str, headers: Sequence[Header], body: Sequence[bytes], *, chunked: bool
    ) -> Answer:
        content = pieces_of(body) if chunked else b"".join(body)
        asked = self._client.build_request(
            method, "/", headers=list(headers), content=content, extensions={"target": target.encode()}
        )
        answer = await self._client.send(asked)
        return answer_of(answer, answer.content)

    @asynccontextmanager
    async def websocket(self, target: str, *headers: Header, **options: Any) -> AsyncGenerator[Socket, None]:
        texts = {key.decode(): value.decode() for key, value in headers}
        origin = Origin(texts.pop("origin")) if "origin" in texts else None
        url = self.url.replace("http", "ws", 1) + target
        options = {"compression": None, "max_size": None, "close_timeout": 1, "proxy": None, **options}
        try:
            connection = await connect(url, origin=origin, additional_headers=texts, open_timeout=SECONDS, **options)
        except InvalidStatus as error:
            raw = [(key.lower().encode(), value.encode()) for key, value in error.response.headers.raw_items()]
            raise Refused(Answer(error.response.status_code, raw, bytes(error.response.body or b""))) from None
        async with connection:
            yield _ServedSocket(connection)

    @asynccontextmanager
    async def events(self, target: str, *headers: Header) -> AsyncGenerator[AsyncIterator[Event], None]:
        async with self._client.stream("GET", target, headers=list(headers)) as answer:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            yield parsed(answer.aiter_raw())


class _ServedSocket(Socket):
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, data: str | bytes) -> None:
        await self._connection.send(data)

    async def receive(self) -> str | bytes:
        try:
            async with asyncio.timeout(SECONDS):
                return await self._connection.recv()
        except ConnectionClosed as error:
            raise Closed(error.rcvd.code if error.rcvd else 1006) from None


class Uvicorn(Served):
    """The literal command `uvicorn app.main:application`."""

    name = "uvicorn"

    @classmethod
    @contextmanager
    def serve(cls, folder: Path) -> Iterator[Served]:
        with running(servers.Uvicorn(folder, **VARIABLES)) as server:
            yield cls(server.url, [server])


class Gunicorn(Served):
    """The literal command `gunicorn -k uvicorn.workers.UvicornWorker app.main:application` with two workers."""

    name = "gunicorn"
    workers = 2
    records = True

    @classmethod
    @contextmanager
    def serve(cls, folder: Path) -> Iterator[Served]:
        with running(servers.Server(folder, slots="shared", **VARIABLES)) as server:
            yield cls(server.url, [server])


class Nginx(Served):
    """The same command, with a socket for each worker, behind nginx."""

    name = "nginx"
    workers = 2
    private = False
    takes_request_id = False
    records = True

    @classmethod
    @contextmanager
    def serve(cls, folder: Path) -> Iterator[Served]:
        with running(servers.Server(folder, **VARIABLES)) as server, running(servers.Nginx(server)) as proxy:
            yield cls(proxy.url, [server, proxy])


class Elsewhere(Nginx):
    """A running stack, such as the containers, at the address CONTRACT_URL."""

    @classmethod
    @contextmanager
    def serve(cls, folder: Path) -> Iterator[Served]:
        yield cls(URL, [])


URL = os.environ.get("CONTRACT_URL", "")
STACKS: list[type[Stack]] = [Elsewhere] if URL else [InProcess, Uvicorn, Gunicorn, Nginx]


@asynccontextmanager
async def started(kind: type[Stack]) -> AsyncIterator[Stack]:
    """Yield the started stack; check at the end that its log has no traceback."""
    with short_folder() as folder:
        if issubclass(kind, InProcess):
            direct = kind(folder)
            async with direct.lifespan():
                yield direct
        elif issubclass(kind, Served):
            with kind.serve(folder) as served:
                yield served
                await served.close()
            before, traceback, after = served.log.partition("Traceback")
            assert not traceback, before[-2_000:] + traceback + after[:4_000]


def answer_of(response: httpx.Response, body: bytes) -> Answer:
    return Answer(response.status_code, [(key.lower(), value) for key, value in response.headers.raw], body)


async def pieces_of(body: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in body:
        yield piece


async def parsed(chunks: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """Yield the events of a stream, by https://html.spec.whatwg.org/multipage/server-sent-events.html section 9.2.6."""
    came = b""
    async for chunk in chunks:
        came += chunk
        while b"\n\n" in came:
            block, _, came = came.partition(b"\n\n")
            lines = block.decode().split("\n")
            fields = [(key, value.removeprefix(" ")) for key, _, value in (line.partition(":") for line in lines)]
            data = [value for key, value in fields if key == "data"]
            if data:
                last = dict(fields)
                yield Event(last.get("event", "message"), last.get("id"), "\n".join(data))

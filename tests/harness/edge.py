"""nginx alone, before slots that tests play themselves; requests are raw bytes, and answers are kept as received.

tests/harness/client.py reads answers to its own requests; here a request may be anything, so an answer may lack
a head (HTTP/0.9), announce a body that does not come (HEAD), or arrive over TLS.
"""

import asyncio
import itertools
import json
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from slipway.ops import nginx, wait
from slipway.ops.edge import EdgeSettings
from slipway.ops.https import HttpsSettings
from slipway.ops.settings import ROOT
from slipway.ops.site import SiteSettings
from slipway.project import Project
from slipway.serving import slot_lists
from slipway.serving.settings import STATUS_SOCKET
from tests.harness.client import Address
from tests.harness.processes import Process, free_ports

PROJECT = replace(Project.read(), private_paths=("/metrics",))
SECONDS = 20.0  # for an answer that must come
Runner = Literal["python", "sh"]
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes"


class Edge(Process):
    """nginx before the slots in a folder's `slots.conf`; `runner` is the runtime whose program reads its log."""

    def __init__(
        self,
        folder: Path,
        *,
        listen: str = "",
        read_timeout: int = 60,
        max_body_bytes: int = 1_000,
        body_room: int = nginx.BODY_ROOM,
        runner: Runner = "python",
        project: Project = PROJECT,
        watched: Sequence[str] = (),
        settings: EdgeSettings = nginx.NO_LIMITS,
        https: HttpsSettings | None = None,
        site: SiteSettings = nginx.NO_FILES,
        files: Path = nginx.NOWHERE,
        modules_dir: Path | None = None,
        log_query: bool = False,
    ) -> None:
        self.folder = folder
        self.port = free_ports()
        self.address: Address = ("127.0.0.1", self.port)
        command = nginx.prepare(
            folder / "nginx",
            listen=f"127.0.0.1:{self.port}{listen}",
            socket_dir=folder,
            max_body_bytes=max_body_bytes,
            body_room=body_room,
            read_timeout=read_timeout,
            health_paths=project.health_paths,
            private_paths=project.private_paths,
            edge=settings,
            https=https or nginx.NO_HTTPS,
            https_listen=f"127.0.0.1:{https.port}" if https else "",
            site=site,
            root=files,
            data_dir=files,
            modules_dir=modules_dir,
            log_query=log_query,
        )
        status = folder / STATUS_SOCKET
        if runner == "python":
            command = nginx.logged(command, watched=watched, sockets=[status])
        else:
            command = ["sh", str(ROOT / "nginx" / "logged.sh"), *command]
        environment = {**os.environ, "LOG_DIR": str(folder), "WATCHED": " ".join(watched), "STATUS_SOCKET": str(status)}
        super().__init__(command, folder / "nginx.log", environment)

    @property
    def ready(self) -> bool:
        return self.master > 0 and not wait.is_free("127.0.0.1", self.port)

    @property
    def master(self) -> int:
        """The pid of nginx's master, 0 before nginx runs; nginx listens before it writes its pid file."""
        file = self.folder / "nginx" / "nginx.pid"
        return int(file.read_text() or 0) if file.exists() else 0

    def records(self) -> list[dict[str, Any]]:
        """Return every line of the log, each of which must be JSON."""
        return [json.loads(line) for line in self.log_path.read_bytes().decode().splitlines()]


@dataclass
class Slot:
    """A worker's listener, played by a test: the request heads it received, and what it does about each."""

    path: Path
    behaviour: Behaviour
    heads: list[bytes] = field(default_factory=list)
    open: set[asyncio.Task[None]] = field(default_factory=set)

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(asyncio.create_task(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(EOFError, OSError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                await self.behaviour(reader, writer)
        writer.close()


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer 200 and keep the connection."""
    writer.write(ANSWER)
    await writer.drain()


async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection like a worker that dies of the request."""
    raise EOFError


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await reader.read()
    raise EOFError


def says(data: bytes) -> Behaviour:
    """Return a behaviour that sends this and ends the connection."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        raise EOFError

    return behaviour


@asynccontextmanager
async def slots(folder: Path, behaviours: Sequence[Behaviour], gone: Sequence[Path] = ()) -> AsyncIterator[list[Slot]]:
    """Serve listeners with these behaviours; before them, nginx's list has the paths `gone`, which nothing serves."""
    served = [Slot(folder / f"live-{number}.sock", behaviour) for number, behaviour in enumerate(behaviours)]
    slot_lists.write(folder, [f"unix:{path}" for path in [*gone, *(slot.path for slot in served)]])
    servers = [await asyncio.start_unix_server(slot.connected, slot.path) for slot in served]
    try:
        yield served
    finally:
        for server in servers:
            server.close()
        await asyncio.wait_for(asyncio.gather(*(task for slot in served for task in slot.open)), SECONDS)


def first(count: int, behaviour: Behaviour, then: Behaviour) -> Behaviour:
    """Return a behaviour that differs for the first `count` requests, whichever slots they come to."""
    seen = itertools.count()

    async def either(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (behaviour if next(seen) < count else then)(reader, writer)

    return either


@dataclass(frozen=True)
class RawAnswer:
    """An answer as received; only a body if the client asked by HTTP/0.9."""

    head: bytes
    body: bytes

    @property
    def status(self) -> int:
        return int(self.head.split()[1]) if self.head else 0

    @property
    def fields(self) -> dict[str, str]:
        lines = (line.partition(":") for line in self.head.decode("latin-1").split("\r\n")[1:])
        return {name.lower(): value.strip() for name, _, value in lines}


async def exchange(
    address: Address, data: bytes, *, no_body: bool = False, tls: ssl.SSLContext | None = None, source: str = ""
) -> RawAnswer:
    """Send bytes, from a source address if one is given, and read one answer. Raises EOFError when none comes."""
    assert not isinstance(address, str)
    async with asyncio.timeout(SECONDS):
        reader, writer = await asyncio.open_connection(*address, ssl=tls, local_addr=(source, 0) if source else None)
        try:
            writer.write(data)
            start = await reader.readexactly(5)
            if start != b"HTTP/":
                return RawAnswer(b"", start + await reader.read())
            answer = RawAnswer(start + await reader.readuntil(b"\r\n\r\n"), b"")
            size = 0 if no_body else int(answer.fields.get("content-length", 0))
            return RawAnswer(answer.head, await reader.readexactly(size))
        finally:
            await hang_up(writer)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Abort the connection: a TLS shutdown would wait for the peer, and another test would report it as unclosed."""
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


def message(method: str, target: str = "/", body: bytes = b"") -> bytes:
    """Return a plain request; if it has a body, Content-Length says its size."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n".encode() + body

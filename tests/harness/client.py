"""The fast HTTP client: raw HTTP/1.1 and event streams over TCP or unix sockets; nothing is retried or hidden.

A test can also write bytes to a connection that no client would send. The other client is httpx, where its own view
of HTTP is wanted, as in the contract.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

Address = tuple[str, int] | str
"""Host and port, or the path of a unix socket."""

SECONDS = 30.0  # for an answer that must come


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP response; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Connection:
    """One connection for successive requests, until an answer says `connection: close`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.reusable = True

    @classmethod
    async def open(cls, address: Address) -> "Connection":
        if isinstance(address, str):
            return cls(*await asyncio.open_unix_connection(address))
        return cls(*await asyncio.open_connection(*address))

    async def __aenter__(self) -> "Connection":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()

    async def request(self, method: str, target: str, body: bytes = b"", *headers: str) -> Answer:
        """Send a request and read the whole answer. Raises OSError or EOFError when the connection ends early."""
        self.send(method, target, body, *headers)
        return await self.answer()

    async def answer(self) -> Answer:
        """Read a whole answer."""
        status, fields = await self.head()
        if fields.get("transfer-encoding") == "chunked":
            content = b"".join([chunk async for chunk in self.chunks()])
        else:
            content = await self.reader.readexactly(int(fields.get("content-length", 0)))
        self.reusable = "close" not in fields.get("connection", "")
        return Answer(status, fields, content)

    def send(self, method: str, target: str, body: bytes = b"", *headers: str) -> None:
        lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "\r\n"]).encode() + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read the status and the headers of the answer."""
        start, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(start.split()[1]), fields

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the chunks of a body until its end."""
        while size := int(await self.reader.readline(), 16):
            yield await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()


async def request(address: Address, method: str, target: str, body: bytes = b"", *headers: str) -> Answer:
    """Send one request on a new connection and read its answer, within SECONDS."""
    async with asyncio.timeout(SECONDS), await Connection.open(address) as connection:
        return await connection.request(method, target, body, *headers)


class EventStream:
    """An open event stream."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._chunks = connection.chunks()

    @classmethod
    async def open(cls, address: Address, target: str = "/events") -> "EventStream":
        async with asyncio.timeout(SECONDS):
            connection = await Connection.open(address)
            connection.send("GET", target)
            status, fields = await connection.head()
        assert (status, fields["content-type"]) == (200, "text/event-stream; charset=utf-8"), (status, fields)
        return cls(connection)

    async def until(self, text: str) -> str:
        """Read until this text has come; return everything read. Raises EOFError when the stream ends before."""
        seen = ""
        async with asyncio.timeout(SECONDS):
            async for chunk in self._chunks:
                seen += chunk.decode()
                if text in seen:
                    return seen
        raise EOFError(f"the stream ended before {text}")

    async def rest(self) -> str:
        """Read until the stream ends. Raises EOFError when it is cut off without its end."""
        try:
            return b"".join([chunk async for chunk in self._chunks]).decode()
        finally:
            await self.close()

    async def close(self) -> None:
        await self._connection.close()

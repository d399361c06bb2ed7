"""The bus of one machine: the log is a table in SQLite, the wake-up a unix datagram to every worker's socket."""

import asyncio
import os
import socket
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .bus import Beat, Bus, Keep, Message, Position
from .errors import BadCursor, Unavailable

TRIM_EVERY = 64  # publishes between two looks for what is too old
BUSY_TIMEOUT_SECONDS = 2.0  # a publisher gets its answer within this, also while the file is locked

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, data TEXT NOT NULL);
"""

Result = TypeVar("Result")


class EmbeddedBus(Bus):
    """A folder holds the log and the workers' sockets."""

    def __init__(self, folder: Path, keep: Keep) -> None:
        super().__init__()
        self._folder = folder
        self._keep = keep
        self._published = 0
        # SQLite blocks; one thread also keeps one worker's publishes in their order.
        self._thread = ThreadPoolExecutor(1, "bus")
        self._database: sqlite3.Connection | None = None
        self._path = folder / f"bus-{os.getpid()}.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    async def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path.unlink(missing_ok=True)
        self._socket.bind(str(self._path))
        await super().start()

    def parse(self, text: str) -> Position:
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise BadCursor(text)
        return (int(text),)

    async def publish(self, data: str) -> str:
        number = await self._run(lambda database: self._append(database, data))
        self._send(b"")
        return str(number)

    async def beat(self, data: str) -> None:
        self._send(data.encode())

    async def _kept(self) -> tuple[Position, Position]:
        return await self._run(_bounds)

    async def _read(self, after: Position, limit: int) -> list[Message]:
        query = "SELECT id, data FROM log WHERE id > ? ORDER BY id LIMIT ?"
        rows = await self._run(lambda database: database.execute(query, (*after, limit)).fetchall())
        return [Message(str(number), (number,), data) for number, data in rows]

    async def _news(self, after: Position) -> list[Message | Beat]:
        # All datagrams are taken before the log is read, so no message can slip between the two; and the log is read
        # whatever they say, since a wake-up is dropped where beats have filled the socket's queue.
        datagrams = [await asyncio.get_running_loop().sock_recv(self._socket, 65_536)]
        while True:
            try:
                datagrams.append(self._socket.recv(65_536))
            except BlockingIOError:
                break
        return [*await self._read(after, -1), *(Beat(datagram.decode()) for datagram in datagrams if datagram)]

    async def _close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close_database)
        self._thread.shutdown()

    def _append(self, database: sqlite3.Connection, data: str) -> int:
        with database:
            database.execute("BEGIN IMMEDIATE")
            number = database.execute("INSERT INTO log (at, data) VALUES (?, ?)", (time.time(), data)).lastrowid
            assert number is not None
            self._published += 1
            if self._published % TRIM_EVERY == 0:
                oldest = (number - self._keep.messages, time.time() - self._keep.seconds)
                database.execute("DELETE FROM log WHERE id <= ? OR at < ?", oldest)
        return number

    def _send(self, datagram: bytes) -> None:
        for path in self._folder.glob("bus-*.sock"):
            try:
                self._socket.sendto(datagram, str(path))
            except BlockingIOError:
                pass  # its queue is full (10 datagrams on Linux), so it is going to look anyway
            except (ConnectionRefusedError, FileNotFoundError):
                path.unlink(missing_ok=True)  # left behind by a worker that was killed
            except OSError:
                pass  # closed while we stop

    async def _run(self, function: Callable[[sqlite3.Connection], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(self._open()))
        except sqlite3.Error as error:
            raise Unavailable(f"the bus is not available: {error}") from error

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            database = sqlite3.connect(self._folder / "bus.db", timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
            database.executescript(SCHEMA)
            self._database = database
        return self._database

    def _close_database(self) -> None:
        if self._database is not None:
            self._database.close()


def _bounds(database: sqlite3.Connection) -> tuple[Position, Position]:
    newest = (database.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone() or (0,))[0]
    oldest = database.execute("SELECT min(id) FROM log").fetchone()[0]
    return ((newest,) if oldest is None else (oldest - 1,)), (newest,)

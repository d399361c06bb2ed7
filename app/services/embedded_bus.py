"""The bus of one machine: the log is a table in SQLite; a unix datagram to each worker's socket wakes the worker."""

import asyncio
import re
import secrets
import socket
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from . import embedded_log
from .bus import Beat, Bus, Extract, Retention
from .embedded_connection import LogConnection
from .errors import Unavailable

BUSY_SECONDS = 1.5  # how long a writer waits for another process's lock; below the bus's own time-out
# Seconds between reads of the log without a wake-up: a worker may be killed between its commit and its wake-up. A beat
# carries the log's end and so spares all workers the read. Just above 1 s, since beats, due each second, come first.
LOOK_SECONDS = 1.01
DATAGRAM_BYTES = 65_536
END = re.compile(r',"log":"([^"]*)"}\Z')  # the log's end in a beat
SOCKET = re.compile(r"bus-.*\.sock")
QUEUE = 10  # datagrams that Linux holds for a socket; more are dropped


class EmbeddedBus(Bus):
    """A bus whose log and workers' sockets are in one folder."""

    def __init__(self, folder: Path, keep: Retention) -> None:
        super().__init__()
        self._folder = folder
        self._keep = keep
        # Two connections, so that a writer that waits for a lock does not block the readers.
        self._log = folder / "bus.db"
        self._writer = LogConnection(self._log, "bus-write")
        self._reader = LogConnection(self._log, "bus-read")
        self._look_at = 0.0  # loop time at which the log is read without a wake-up
        self._path = folder / f"bus-{secrets.token_hex(4)[1:]}.sock"  # pids may repeat: containers may share a folder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._is_bound = False

    async def start(self) -> None:
        with suppress(Unavailable):  # the listener tries again
            self._bind()
        await super().start()

    async def append(self, data: str, key: str) -> tuple[str, int]:
        place = await self._writer.run(
            lambda database: embedded_log.append(database, data, key, self._keep), BUSY_SECONDS
        )
        self._send(b"", self._sockets())
        return place

    async def tell(self, data: str) -> None:
        end = ""
        try:
            end = await self._writer.run(self._trim, BUSY_SECONDS)
            if end == self._end:
                self._look_at = self._next_look()
            else:
                self._send(b"", [self._path])
        finally:
            self._feed.put(Beat(data))
            told = f'{data[:-1]},"log":"{end}"}}' if end else data  # older versions ignore the field
            self._send(told.encode(), [path for path in self._sockets() if path != self._path])

    async def read(self, after: int, limit: int) -> Extract:
        return await self._reader.run(
            lambda database: embedded_log.read(database, after, limit, self._keep), BUSY_SECONDS
        )

    async def news(self, after: int, limit: int) -> tuple[Extract | None, Sequence[Beat]]:
        # All datagrams are taken before the log is read, so no message can be missed between the two. If beats may have
        # filled the socket's queue, the log is read whatever they carry, since a wake-up may have been dropped.
        self._bind()
        datagrams = await self._datagrams()
        beats = [Beat(datagram.decode(errors="replace")) for datagram in datagrams if datagram]
        ends = {found[1] for beat in beats if (found := END.search(beat.data))}
        if len(beats) == len(datagrams) < QUEUE and ends <= {self._end} and self._before_look() > 0:
            if self._end in ends:
                self._look_at = self._next_look()
            return None, beats
        extract = await self.read(after, limit)
        self._look_at = 0.0 if len(extract.messages) == limit else self._next_look()
        return extract, beats

    async def renew(self, epoch: str) -> None:
        await self._writer.run(lambda database: embedded_log.renew(database, epoch), BUSY_SECONDS)

    async def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)
        await self._writer.close()
        await self._reader.close()

    def _bind(self) -> None:
        """Bind the socket for wake-ups, once; raise Unavailable if that fails, as on a full disk."""
        if self._is_bound:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._socket.bind(str(self._path))
        except OSError as error:
            raise Unavailable(f"the bus is not available: {error}") from error
        self._is_bound = True

    def _next_look(self) -> float:
        return asyncio.get_running_loop().time() + LOOK_SECONDS

    def _before_look(self) -> float:
        """Return the seconds until the log is read even without a wake-up."""
        return self._look_at - asyncio.get_running_loop().time()

    async def _datagrams(self) -> list[bytes]:
        """Wait for a datagram until the log is to be read; return all that have arrived."""
        datagrams: list[bytes] = []
        while not datagrams and (seconds := self._before_look()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    datagrams.append(await asyncio.get_running_loop().sock_recv(self._socket, DATAGRAM_BYTES))
        with suppress(BlockingIOError):
            while True:
                datagrams.append(self._socket.recv(DATAGRAM_BYTES))
        return datagrams

    def _trim(self, database: sqlite3.Connection) -> str:
        """Trim the log and its write-ahead log; return the id of the log's end."""
        epoch, newest = embedded_log.trim(database, self._keep)
        embedded_log.shorten(database, self._log)
        return f"{epoch}-{newest}"

    @property
    def _end(self) -> str:
        """The id of the last message that the listener has passed on."""
        return f"{self.epoch}-{self.last}"

    def _sockets(self) -> list[Path]:
        """Return the sockets of all workers, this one included."""
        with suppress(OSError):
            return [path for path in self._folder.iterdir() if SOCKET.fullmatch(path.name)]
        return []

    def _send(self, datagram: bytes, paths: Sequence[Path]) -> None:
        for path in paths:
            try:
                self._socket.sendto(datagram, str(path))
            except BlockingIOError:
                pass  # its queue is full, so the worker reads the log in any case
            except (ConnectionRefusedError, FileNotFoundError):
                path.unlink(missing_ok=True)  # left behind by a worker that was killed
            except OSError:
                pass  # the socket has been closed by `close`

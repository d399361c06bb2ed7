"""The bus of one machine: the log is a table in SQLite, the wake-up a unix datagram to every worker's socket."""

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
# The log is looked at so often: a worker may be killed between its commit and its wake-up. A beat says where the log
# ends, so it is a look for all workers, and comes first where both are due.
LOOK_SECONDS = 1.01
DATAGRAM_BYTES = 65_536
END = re.compile(r',"log":"([^"]*)"}\Z')  # what a beat says of the log
SOCKET = re.compile(r"bus-.*\.sock")
QUEUE = 10  # datagrams that Linux holds for a socket; more are dropped


class EmbeddedBus(Bus):
    """A folder holds the log and the workers' sockets."""

    def __init__(self, folder: Path, keep: Retention) -> None:
        super().__init__()
        self._folder = folder
        self._keep = keep
        # One connection each, so that a writer that waits for a lock does not hold up the readers.
        self._log = folder / "bus.db"
        self._writer = LogConnection(self._log, "bus-write")
        self._reader = LogConnection(self._log, "bus-read")
        self._look_at = 0.0  # when the log is to be read, by the loop's clock
        self._path = folder / f"bus-{secrets.token_hex(4)[1:]}.sock"  # pids differ less: containers may share a folder
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
            told = f'{data[:-1]},"log":"{end}"}}' if end else data  # versions that do not know the field pass it over
            self._send(told.encode(), [path for path in self._sockets() if path != self._path])

    async def read(self, after: int, limit: int) -> Extract:
        return await self._reader.run(
            lambda database: embedded_log.read(database, after, limit, self._keep), BUSY_SECONDS
        )

    async def news(self, after: int, limit: int) -> tuple[Extract | None, Sequence[Beat]]:
        # All datagrams are taken before the log is read, so no message can slip between the two. Where beats may have
        # filled the socket's queue it is read whatever they say, since a wake-up may have been dropped.
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
        """Be woken from now on; a disk that is full has no room for a socket either."""
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
        """Seconds until the log is to be read, whatever comes."""
        return self._look_at - asyncio.get_running_loop().time()

    async def _datagrams(self) -> list[bytes]:
        """What has come, after a wait for the first."""
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
        """Keep the log short; the id of its end."""
        epoch, newest = embedded_log.trim(database, self._keep)
        embedded_log.shorten(database, self._log)
        return f"{epoch}-{newest}"

    @property
    def _end(self) -> str:
        """The end of what we have passed on."""
        return f"{self.epoch}-{self.last}"

    def _sockets(self) -> list[Path]:
        """All workers' own, and ours."""
        with suppress(OSError):
            return [path for path in self._folder.iterdir() if SOCKET.fullmatch(path.name)]
        return []

    def _send(self, datagram: bytes, paths: Sequence[Path]) -> None:
        for path in paths:
            try:
                self._socket.sendto(datagram, str(path))
            except BlockingIOError:
                pass  # its queue is full, so it is going to read the log whatever it holds
            except (ConnectionRefusedError, FileNotFoundError):
                path.unlink(missing_ok=True)  # left behind by a worker that was killed
            except OSError:
                pass  # closed while we stop

"""The bus of one machine: the log is a table in SQLite, the wake-up a unix datagram to every worker's socket."""

import asyncio
import secrets
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from . import embedded_log
from .bus import Beat, Bus, Extract, Retention
from .embedded_connection import LogConnection
from .errors import Unavailable

BUSY_SECONDS = 1.5  # how long a writer waits for another process's lock; below the bus's own time-out
LOOK_SECONDS = 1.0  # the log is read so often at least: a worker may be killed between its commit and its wake-up
EARLY_SECONDS = 0.5  # a read that is due so soon is done with a beat, which has woken the process anyway
DATAGRAM_BYTES = 65_536


class EmbeddedBus(Bus):
    """A folder holds the log and the workers' sockets."""

    def __init__(self, folder: Path, keep: Retention) -> None:
        super().__init__()
        self._folder = folder
        self._keep = keep
        # One connection each, so that a writer that waits for a lock does not hold up the readers.
        self._writer = LogConnection(folder / "bus.db", "bus-write")
        self._reader = LogConnection(folder / "bus.db", "bus-read")
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
        self._send(b"")
        return place

    async def tell(self, data: str) -> None:
        try:
            ends = await self._writer.run(lambda database: embedded_log.trim(database, self._keep), BUSY_SECONDS)
            if ends == (self.epoch, self.last):
                self._look_at = asyncio.get_running_loop().time() + LOOK_SECONDS
        finally:  # afterwards, since our own reader is woken too, and both threads at once would take turns
            self._send(data.encode())

    async def read(self, after: int, limit: int) -> Extract:
        return await self._reader.run(
            lambda database: embedded_log.read(database, after, limit, self._keep), BUSY_SECONDS
        )

    async def news(self, after: int, limit: int) -> tuple[Extract | None, Sequence[Beat]]:
        # All datagrams are taken before the log is read, so no message can slip between the two. Beyond a beat that has
        # come alone the log is read whatever they say: a wake-up is dropped where beats have filled the socket's queue.
        self._bind()
        clock = asyncio.get_running_loop().time
        datagrams = await self._datagrams(self._look_at - clock())
        beats = [Beat(datagram.decode(errors="replace")) for datagram in datagrams if datagram]
        if len(beats) == len(datagrams) == 1 and clock() < self._look_at - EARLY_SECONDS:
            return None, beats
        extract = await self.read(after, limit)
        self._look_at = 0.0 if len(extract.messages) == limit else clock() + LOOK_SECONDS
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

    async def _datagrams(self, seconds: float) -> list[bytes]:
        """What has come, after a wait of so long for the first."""
        datagrams = []
        if seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    datagrams.append(await asyncio.get_running_loop().sock_recv(self._socket, DATAGRAM_BYTES))
        with suppress(BlockingIOError):
            while True:
                datagrams.append(self._socket.recv(DATAGRAM_BYTES))
        return datagrams

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

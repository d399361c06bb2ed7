"""A connection to the embedded bus's SQLite file, in a thread of its own."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .embedded_schema import prepare
from .errors import Full, Unavailable

# SQLite's errors for a disk or file that takes no more data; in WAL mode a full disk may give SHMSIZE.
FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}

Result = TypeVar("Result")


class LogConnection:
    """Runs functions one after the other in its own thread, since SQLite blocks."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, name)
        self._connection: sqlite3.Connection | None = None

    async def run(self, function: Callable[[sqlite3.Connection], Result], seconds: float) -> Result:
        """Call a function with the connection; raise Unavailable if it fails or waits for longer than `seconds`."""
        deadline = time.monotonic() + seconds
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: function(self._open(deadline)))
        except sqlite3.Error as error:
            raise _kind(error)(f"the bus is not available: {error}") from error

    async def close(self) -> None:
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown(wait=False)

    def _open(self, deadline: float) -> sqlite3.Connection:
        left = deadline - time.monotonic()  # earlier calls may have used up the time
        if left <= 0:
            raise Unavailable("the bus is not available: it is busy")
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=left, isolation_level=None)
            connection.text_factory = lambda text: text.decode(errors="replace")  # another program may have written it
            try:
                prepare(connection, deadline)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        self._connection.execute(f"PRAGMA busy_timeout = {round(left * 1_000)}")
        return self._connection


def _kind(error: sqlite3.Error) -> type[Unavailable]:
    code = getattr(error, "sqlite_errorcode", 0)
    return Full if code in FULL or code & 0xFF in FULL else Unavailable

"""The embedded bus's log: a table in SQLite, and the one thread that each connection to it has."""

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .errors import Full, Unavailable
from .items import Extract, Message, Retention

VERSION = 3  # of the tables; a log of another version is forgotten
BOOT = Path("/proc/sys/kernel/random/boot_id")
WAL_BYTES = 16 << 20  # a write-ahead log that readers have kept from being used again is cut when it is longer
STEP = 1_000  # messages that one step forgets of a log that is too large; the next goes on
# SQLite's answers of a disk, or a file, that takes no more; in the write-ahead log a full disk can be the last one.
FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}
COST = "(length(CAST({row}.data AS BLOB)) + 2 * coalesce(length({row}.key), 0) + 100)"  # bytes, with overhead

SCHEMA = f"""
DROP TABLE IF EXISTS log;
DROP TABLE IF EXISTS epoch;
DROP TABLE IF EXISTS beat;
DROP TABLE IF EXISTS kept;
PRAGMA user_version = {VERSION};
CREATE TABLE log (number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, key TEXT UNIQUE, data TEXT NOT NULL);
CREATE TABLE epoch (name TEXT NOT NULL, start INTEGER NOT NULL, boot TEXT NOT NULL);
CREATE TABLE beat (at REAL NOT NULL);
CREATE TABLE kept (bytes INTEGER NOT NULL);
INSERT INTO kept VALUES (0);
CREATE TRIGGER added AFTER INSERT ON log BEGIN UPDATE kept SET bytes = bytes + {COST.format(row="NEW")}; END;
CREATE TRIGGER removed AFTER DELETE ON log BEGIN UPDATE kept SET bytes = bytes - {COST.format(row="OLD")}; END;
"""
NEWEST = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'log'"
EPOCH = "SELECT name, start, boot FROM epoch"

Result = TypeVar("Result")


class Database:
    """A connection that lives in a thread of its own, since SQLite blocks; what it is given to do is done in order."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, name)
        self._connection: sqlite3.Connection | None = None

    async def run(self, function: Callable[[sqlite3.Connection], Result], seconds: float) -> Result:
        """Call a function with the connection; raise Unavailable when that has failed or takes longer."""
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
        left = deadline - time.monotonic()  # others may have waited for a lock before this was its turn
        if left <= 0:
            raise Unavailable("the bus is not available: it is busy")
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=left, isolation_level=None)
            connection.text_factory = lambda text: text.decode(errors="replace")  # of whatever wrote into the file
            try:
                prepare(connection)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        self._connection.execute(f"PRAGMA busy_timeout = {round(left * 1_000)}")
        return self._connection


def _kind(error: sqlite3.Error) -> type[Unavailable]:
    code = getattr(error, "sqlite_errorcode", 0)
    return Full if code in FULL or code & 0xFF in FULL else Unavailable


def prepare(database: sqlite3.Connection) -> None:
    """Make the tables if there are none, and begin a new epoch if the machine has started anew.

    What was written just before a power cut may be lost, as `synchronous = NORMAL` has it; numbers would be used again.
    """
    boot = BOOT.read_text().strip() if BOOT.exists() else ""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    if _version(database) == VERSION and database.execute(EPOCH).fetchone()[2] == boot:
        return
    with transaction(database):
        if _version(database) != VERSION:
            for statement in SCHEMA.strip().splitlines():
                database.execute(statement)
        found = database.execute(EPOCH).fetchone()
        if found is None or found[2] != boot:
            begin_epoch(database, boot)


def _version(database: sqlite3.Connection) -> int:
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    return version


class transaction:  # noqa: N801 (read as a statement)
    """`BEGIN IMMEDIATE` and its end; a deferred one would fail at once where another has written."""

    def __init__(self, database: sqlite3.Connection, kind: str = "IMMEDIATE") -> None:
        self._database = database
        self._kind = kind

    def __enter__(self) -> None:
        self._database.execute(f"BEGIN {self._kind}")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK" if kind else "COMMIT")


def begin_epoch(database: sqlite3.Connection, boot: str) -> None:
    """What was in the log is read by no client any more; a message of it that is sent again is a new one."""
    database.execute("DELETE FROM log")
    newest = database.execute(NEWEST).fetchone()[0]
    database.execute("DELETE FROM epoch")
    database.execute("INSERT INTO epoch VALUES (?, ?, ?)", (secrets.token_hex(4), newest + 1, boot))


def append(database: sqlite3.Connection, data: str, key: str, keep: Retention) -> tuple[str, int]:
    """Put a message at the end of the log, unless there is one of its key; forget the one that is too many."""
    with transaction(database):
        epoch = database.execute(EPOCH).fetchone()[0]
        row = database.execute("SELECT number FROM log WHERE key = ?", (key,)).fetchone()
        if row is None:
            query = "INSERT INTO log (at, key, data) VALUES (?, ?, ?) RETURNING number"
            row = database.execute(query, (time.time(), key or None, data)).fetchone()
            _forget(database, row[0] - keep.messages, keep)
        return epoch, row[0]


def trim(database: sqlite3.Connection, keep: Retention) -> None:
    """Forget what is too much or too old; the row of `beat` is written each time, to see that the file takes writes."""
    with transaction(database):
        newest = database.execute(NEWEST).fetchone()[0]
        _forget(database, max(_oldest(database, keep) - 1, newest - keep.messages), keep)
        if not database.execute("UPDATE beat SET at = ?", (time.time(),)).rowcount:
            database.execute("INSERT INTO beat VALUES (?)", (time.time(),))
    _shorten(database)


def _forget(database: sqlite3.Connection, number: int, keep: Retention) -> None:
    """Forget the messages up to a number, and the oldest of the others while there are too many bytes.

    SQLite uses the pages again, so the file stays as large as it was at most.
    """
    database.execute("DELETE FROM log WHERE number <= ?", (number,))
    surplus = database.execute("SELECT bytes FROM kept").fetchone()[0] - keep.size
    if surplus <= 0:
        return
    query = f"SELECT number, {COST.format(row='log')} FROM log WHERE number < ({NEWEST}) ORDER BY number LIMIT {STEP}"
    for oldest, size in database.execute(query).fetchall():
        number, surplus = oldest, surplus - size
        if surplus <= 0:
            break
    database.execute("DELETE FROM log WHERE number <= ?", (number,))


def _shorten(database: sqlite3.Connection) -> None:
    """Cut the write-ahead log when it is long; readers that overlap for ever keep it from being used again."""
    path = Path(f"{database.execute('PRAGMA database_list').fetchone()[2]}-wal")
    if path.exists() and path.stat().st_size > WAL_BYTES:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def read(database: sqlite3.Connection, after: int, limit: int, keep: Retention) -> Extract:
    """Messages after a number, of this epoch and not too old."""
    with transaction(database, "DEFERRED"):
        name, start, _ = database.execute(EPOCH).fetchone()
        newest = database.execute(NEWEST).fetchone()[0]
        first = max(after + 1, start, _oldest(database, keep)) if newest > after else newest + 1
        rows = database.execute(
            "SELECT number, data FROM log WHERE number >= ? ORDER BY number LIMIT ?", (first, limit)
        )
        return Extract(name, start, newest, [Message(name, number, data) for number, data in rows])


def renew(database: sqlite3.Connection, epoch: str) -> None:
    """Begin a new epoch if this is still the old one."""
    with transaction(database):
        name, _, boot = database.execute(EPOCH).fetchone()
        if name == epoch:
            begin_epoch(database, boot)


def _oldest(database: sqlite3.Connection, keep: Retention) -> int:
    """The number of the oldest message that is young enough, or the number after the newest."""
    query = "SELECT number FROM log WHERE at >= ? ORDER BY number LIMIT 1"
    row = database.execute(query, (time.time() - keep.seconds,)).fetchone()
    return int(row[0] if row else database.execute(NEWEST).fetchone()[0] + 1)

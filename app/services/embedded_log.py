"""The embedded bus's log: what is done with its table, each in one transaction."""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from .embedded_schema import COST, ENDS, EPOCH, NEWEST, begin_epoch, transaction
from .items import Extract, Message, Retention

WAL_BYTES = 16 << 20  # a write-ahead log that readers have kept from being used again is cut when it is longer
STEP = 1_000  # messages that one step forgets of a log that is too large; the next goes on


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


def trim(database: sqlite3.Connection, keep: Retention) -> tuple[str, int]:
    """Forget what is too much or too old; the epoch, and the newest number.

    The row of `beat` is written each time, to see that the file takes writes.
    """
    with transaction(database):
        epoch, _, newest, oldest, at, size = database.execute(ENDS).fetchone()
        if oldest and (oldest <= newest - keep.messages or at < time.time() - keep.seconds or size > keep.size):
            _forget(database, max(_oldest(database, keep) - 1, newest - keep.messages), keep)
        if not database.execute("UPDATE beat SET at = ?", (time.time(),)).rowcount:
            database.execute("INSERT INTO beat VALUES (?)", (time.time(),))
    return epoch, newest


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


def shorten(database: sqlite3.Connection, path: Path) -> None:
    """Cut a file's write-ahead log when it is long; readers that overlap for ever keep it from being used again."""
    with suppress(FileNotFoundError):
        if path.with_name(f"{path.name}-wal").stat().st_size > WAL_BYTES:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def read(database: sqlite3.Connection, after: int, limit: int, keep: Retention) -> Extract:
    """Messages after a number, of this epoch and not too old."""
    name, start, newest, *_ = database.execute(ENDS).fetchone()
    if newest <= after:
        return Extract(name, start, newest, [])
    with transaction(database, "DEFERRED"):
        name, start, newest, *_ = database.execute(ENDS).fetchone()
        first = max(after + 1, start, _oldest(database, keep))
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

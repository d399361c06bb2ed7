"""The operations on the embedded bus's log, each in one transaction."""

import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from .embedded_schema import COST, ENDS, EPOCH, NEWEST, begin_epoch, transaction
from .items import Extract, Message, Retention

WAL_BYTES = 16 << 20  # above this, a write-ahead log that overlapping readers keep from being reused is truncated
STEP = 1_000  # messages removed at a time from a log that has too many bytes; the next call goes on


def append(database: sqlite3.Connection, data: str, key: str, keep: Retention) -> tuple[str, int]:
    """Append a message unless there is one with its key; remove surplus ones. Return the epoch and the number."""
    with transaction(database):
        epoch = database.execute(EPOCH).fetchone()[0]
        row = database.execute("SELECT number FROM log WHERE key = ?", (key,)).fetchone()
        if row is None:
            query = "INSERT INTO log (at, key, data) VALUES (?, ?, ?) RETURNING number"
            row = database.execute(query, (time.time(), key or None, data)).fetchone()
            _forget(database, row[0] - keep.messages, keep)
        return epoch, row[0]


def trim(database: sqlite3.Connection, keep: Retention) -> tuple[str, int]:
    """Remove surplus and expired messages; return the epoch and the newest number.

    The row of `beat` is written each time, as a check that the file takes writes.
    """
    with transaction(database):
        epoch, _, newest, oldest, at, size = database.execute(ENDS).fetchone()
        if oldest and (oldest <= newest - keep.messages or at < time.time() - keep.seconds or size > keep.size):
            _forget(database, max(_oldest(database, keep) - 1, newest - keep.messages), keep)
        if not database.execute("UPDATE beat SET at = ?", (time.time(),)).rowcount:
            database.execute("INSERT INTO beat VALUES (?)", (time.time(),))
    return epoch, newest


def _forget(database: sqlite3.Connection, number: int, keep: Retention) -> None:
    """Remove the messages up to a number, and the oldest of the others while there are too many bytes.

    SQLite reuses the pages; the file does not shrink.
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
    """Truncate the write-ahead log above WAL_BYTES; continuously overlapping readers keep SQLite from reusing it."""
    with suppress(FileNotFoundError):
        if path.with_name(f"{path.name}-wal").stat().st_size > WAL_BYTES:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def read(database: sqlite3.Connection, after: int, limit: int, keep: Retention) -> Extract:
    """Return the messages after a number that are of this epoch and not expired."""
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
    """Begin a new epoch if `epoch` is still the current one."""
    with transaction(database):
        name, _, boot = database.execute(EPOCH).fetchone()
        if name == epoch:
            begin_epoch(database, boot)


def _oldest(database: sqlite3.Connection, keep: Retention) -> int:
    """Return the number of the oldest message that is not expired, or the number after the newest."""
    query = "SELECT number FROM log WHERE at >= ? ORDER BY number LIMIT 1"
    row = database.execute(query, (time.time() - keep.seconds,)).fetchone()
    return int(row[0] if row else database.execute(NEWEST).fetchone()[0] + 1)

"""The embedded bus's tables in SQLite: what they are, and the epoch in which their numbers count."""

import secrets
import sqlite3
from pathlib import Path

from .journal import use_wal

VERSION = 3  # of the tables; a log of another version is forgotten
BOOT = Path("/proc/sys/kernel/random/boot_id")
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
# The epoch and its first number, the newest number, the oldest one that is kept, when it came, and the bytes of all.
ENDS = f"""
SELECT name, start, ({NEWEST}), (SELECT min(number) FROM log), (SELECT at FROM log ORDER BY number LIMIT 1), bytes
FROM epoch, kept
"""


def prepare(database: sqlite3.Connection, deadline: float) -> None:
    """Make the tables if there are none, and begin a new epoch if the machine has started anew, by that time.

    What was written just before a power cut may be lost, as `synchronous = NORMAL` has it; numbers would be used again.
    """
    boot = BOOT.read_text().strip() if BOOT.exists() else ""
    use_wal(database, deadline)
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

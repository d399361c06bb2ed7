"""The embedded bus's tables in SQLite, and the epoch in which the log's numbers are valid."""

import secrets
import sqlite3
from pathlib import Path

from .journal import use_wal

VERSION = 3  # of the tables; a log of another version is discarded
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
# The epoch and its first number, the newest number, the oldest kept number and its time, and the bytes of all messages.
ENDS = f"""
SELECT name, start, ({NEWEST}), (SELECT min(number) FROM log), (SELECT at FROM log ORDER BY number LIMIT 1), bytes
FROM epoch, kept
"""


def prepare(database: sqlite3.Connection, deadline: float) -> None:
    """Create the tables if they are missing, and begin a new epoch if the machine has been rebooted; by `deadline`.

    With `synchronous = NORMAL` the last writes before a power cut may be lost; their numbers would be used again.
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
    """A transaction, by default IMMEDIATE: a deferred one that writes fails at once if another has written."""

    def __init__(self, database: sqlite3.Connection, kind: str = "IMMEDIATE") -> None:
        self._database = database
        self._kind = kind

    def __enter__(self) -> None:
        self._database.execute(f"BEGIN {self._kind}")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK" if kind else "COMMIT")


def begin_epoch(database: sqlite3.Connection, boot: str) -> None:
    """Begin a new epoch and clear the log: no client reads the old messages, and a resent one counts as new."""
    database.execute("DELETE FROM log")
    newest = database.execute(NEWEST).fetchone()[0]
    database.execute("DELETE FROM epoch")
    database.execute("INSERT INTO epoch VALUES (?, ?, ?)", (secrets.token_hex(4), newest + 1, boot))

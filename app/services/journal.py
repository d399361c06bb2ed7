"""SQLite's write-ahead log: https://www.sqlite.org/wal.html."""

import sqlite3
import time

POLL_SECONDS = 0.005
BUSY = 0xFF  # the part of an extended code that says which error it is


def use_wal(connection: sqlite3.Connection, deadline: float) -> None:
    """Have a file keep a write-ahead log; raise sqlite3.Error if that is not possible by then, on `time.monotonic()`.

    Two connections that begin one at the same time refuse each other at once, whatever their busy time-out is: each
    would wait for the other. So both come back until it is there.
    """
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & BUSY != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)
        else:
            break
    connection.execute("PRAGMA synchronous = NORMAL")

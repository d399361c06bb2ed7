"""SQLite's write-ahead log: https://www.sqlite.org/wal.html."""

import sqlite3
import time

POLL_SECONDS = 0.005
BUSY = 0xFF  # mask of the primary code in an extended error code


def use_wal(connection: sqlite3.Connection, deadline: float) -> None:
    """Switch a file to a write-ahead log; raise sqlite3.Error if it stays busy until `deadline` (`time.monotonic()`).

    Two connections that switch at the same time both fail at once, whatever their busy time-out: each would wait for
    the other. So both try again until the file has been switched.
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

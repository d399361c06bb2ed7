"""The database of all arms: made once, with one user, so that every arm reads the same row and none migrates."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from bench.stack import ROOT

ROW = (1, "Ada Lovelace", 1_767_225_600_000_000)  # id, name, microseconds since 1970
ANSWERS = {"database": '{"user":{"id":1,"name":"Ada Lovelace","created_at":"2026-01-01T00:00:00Z"}}'}


def prepare(folder: Path) -> dict[str, str]:
    """Make the database if it is not there; return the environment that leads the arms to it.

    A `DATABASE_URL` in the environment is used as it is: migrated, and expected to be empty or to hold our row.
    """
    url = os.environ.get("DATABASE_URL", "")
    env = {"DATA_DIR": str(folder), **({"DATABASE_URL": url} if url else {})}
    if not (folder / "slipway.db").exists():
        subprocess.run([sys.executable, "-m", "app.migrate"], env={**os.environ, **env}, cwd=ROOT, check=True)
        if not url:
            with sqlite3.connect(folder / "slipway.db") as connection:
                connection.execute("INSERT INTO users (id, name, created_at) VALUES (?, ?, ?)", ROW)
            connection.close()
    return {**env, "MIGRATE": "0", "PRESTART": "true"}

"""The write-ahead log of a SQLite file that several workers open at the same time, for the first time."""

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.services import embedded_schema
from app.services.database import sync_engine

ROUNDS, OPENERS = 30, 4


def bus(path: Path) -> None:
    """Open the log as a worker's bus does."""
    with_wait = sqlite3.connect(path, timeout=5, isolation_level=None)
    try:
        embedded_schema.prepare(with_wait, time.monotonic() + 5)
    finally:
        with_wait.close()


def users(path: Path) -> None:
    """Open the database as a worker's threads do."""
    engine = sync_engine(make_url(f"sqlite:///{path}"))
    try:
        engine.connect().close()
    finally:
        engine.dispose()


@pytest.mark.parametrize("opens", [bus, users])
def test_all_that_open_a_new_file_at_once_succeed(tmp_path: Path, opens: Callable[[Path], None]) -> None:
    """No opener finds a new file locked when several open it at the same time."""
    failures: list[Exception] = []
    for number in range(ROUNDS):
        barrier = threading.Barrier(OPENERS)

        def one(path: Path = tmp_path / f"{number}.db", barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            try:
                opens(path)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=one) for _ in range(OPENERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

    assert failures == []

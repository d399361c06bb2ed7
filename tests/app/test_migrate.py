"""The migration brings the schema up to date once, also when it runs again or several times at once."""

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, make_url, text

from app.migrate import migrate
from app.services.users import metadata

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "app.migrate")


def revisions(path: Path) -> list[str]:
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT version_num FROM alembic_version").fetchall()
    database.close()
    return [revision for (revision,) in rows]


def test_twice(folder: Path) -> None:
    """A second migration changes nothing and keeps the data."""
    url = make_url(f"sqlite:///{folder}/new/slipway.db")
    migrate(url)
    with sqlite3.connect(folder / "new/slipway.db") as database:
        database.execute("INSERT INTO users (name, created_at) VALUES ('a', 0)")
    database.close()
    migrate(url)

    assert revisions(folder / "new/slipway.db") == ["0001"]
    with sqlite3.connect(folder / "new/slipway.db") as database:
        assert database.execute("SELECT name FROM users").fetchall() == [("a",)]
    database.close()


async def test_at_the_same_time(folder: Path) -> None:
    """Several migrations at the same time all succeed, and the schema is migrated once."""
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{folder}/slipway.db", "DATA_DIR": str(folder)}
    async with asyncio.timeout(30):
        processes = [
            await asyncio.create_subprocess_exec(*COMMAND, cwd=ROOT, env=environment, stderr=asyncio.subprocess.PIPE)
            for _ in range(4)
        ]
        said = await asyncio.gather(*(process.communicate() for process in processes))

    assert [process.returncode for process in processes] == [0] * 4, said
    assert revisions(folder / "slipway.db") == ["0001"]


def uses_each_id_once(engine: Engine, table: str) -> bool:
    with engine.connect() as connection:
        query = text("SELECT sql FROM sqlite_master WHERE name = :name")
        return "AUTOINCREMENT" in str(connection.execute(query, {"name": table}).scalar_one())


def test_tables_are_the_models(folder: Path) -> None:
    """The revisions make the tables of the models: names, columns, nullability and uniqueness."""
    migrate(make_url(f"sqlite:///{folder}/migrated.db"))
    migrated = create_engine(f"sqlite:///{folder}/migrated.db")
    modelled = create_engine(f"sqlite:///{folder}/modelled.db")
    metadata.create_all(modelled)

    seen, wanted = inspect(migrated), inspect(modelled)
    assert set(seen.get_table_names()) == {*wanted.get_table_names(), "alembic_version"}
    for table in wanted.get_table_names():
        assert [str(column) for column in seen.get_columns(table)] == [
            str(column) for column in wanted.get_columns(table)
        ]
        assert seen.get_unique_constraints(table) == wanted.get_unique_constraints(table)
        assert uses_each_id_once(migrated, table) == uses_each_id_once(modelled, table)
    migrated.dispose()
    modelled.dispose()


@pytest.mark.parametrize("password", ["s3cret"])
def test_database_that_is_away(folder: Path, password: str) -> None:
    """If the database does not answer, one line names its address, without the password."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        environment = {
            **os.environ,
            "DATABASE_URL": f"postgresql://ann:{password}@127.0.0.1:{port}/slipway",
            "DATA_DIR": str(folder),
        }
        result = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)

    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in result.stderr
    assert password not in result.stderr

"""Users: one set of statements, for the async app and the sync baseline, on SQLite and PostgreSQL."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Column, Connection, Engine, Integer, MetaData, Row, String, Table
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from .database import ANSWER_SECONDS, UtcDateTime, can_write, translated
from .deadline import within
from .errors import NameTaken, Unavailable

NAME_LENGTH = 100  # characters
MAX_ID = 2**63 - 1  # the largest that both databases can hold

metadata = MetaData()
table = Table(
    "users",
    metadata,
    # SQLite gives out ids by itself only for INTEGER
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", String(NAME_LENGTH), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,  # an id is never given out twice, as in PostgreSQL
)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class User:
    """A user as it is stored."""

    id: int
    name: str
    created_at: datetime

    def as_json(self) -> dict[str, Any]:
        created_at = self.created_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        return {"id": self.id, "name": self.name, "created_at": created_at}


def create(connection: Connection, name: str) -> User:
    """Store a new user; raise NameTaken if there is one of that name. Uniqueness is the database's own constraint."""
    statement = table.insert().values(name=name, created_at=datetime.now(UTC)).returning(*table.c)
    try:
        return _user(connection.execute(statement).one())
    except IntegrityError:
        raise NameTaken(name) from None


def find(connection: Connection, user_id: int) -> User | None:
    row = connection.execute(table.select().where(table.c.id == user_id)).first()
    return None if row is None else _user(row)


def page(connection: Connection, limit: int, after: int) -> list[User]:
    """At most `limit` users with an id above `after`, in order of their ids."""
    statement = table.select().where(table.c.id > after).order_by(table.c.id).limit(limit)
    return [_user(row) for row in connection.execute(statement)]


def delete(connection: Connection, user_id: int) -> bool:
    """Remove the user; return whether there was one."""
    return connection.execute(table.delete().where(table.c.id == user_id)).rowcount > 0


def ping(connection: Connection) -> None:
    """Raise if users can't be read or written, also because the database has not been migrated."""
    connection.execute(table.select().limit(0))
    if not can_write(connection):
        raise Unavailable("the database takes no writes")


def _user(row: Row[Any]) -> User:
    return User(row.id, row.name, row.created_at)


class Users:
    """Runs the functions above on the worker's engine. All raise Unavailable while the database is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def read(self, function: Callable[..., Result], *arguments: Any) -> Result:
        with translated():
            async with asyncio.timeout(ANSWER_SECONDS), self._reading.connect() as connection:
                return await connection.run_sync(function, *arguments)

    async def write(self, function: Callable[..., Result], *arguments: Any) -> Result:
        with translated():
            async with asyncio.timeout(ANSWER_SECONDS), self._engine.begin() as connection:
                return await connection.run_sync(function, *arguments)

    async def close(self) -> None:
        await self._engine.dispose()


class BlockingUsers:
    """The same for threads: the WSGI baseline's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    def read(self, function: Callable[..., Result], *arguments: Any) -> Result:
        with translated(), within(ANSWER_SECONDS), self._reading.connect() as connection:
            return function(connection, *arguments)

    def write(self, function: Callable[..., Result], *arguments: Any) -> Result:
        with translated(), within(ANSWER_SECONDS), self._engine.begin() as connection:
            return function(connection, *arguments)

"""Users: one set of statements, for the async app and the sync baseline, on SQLite and PostgreSQL."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, BigInteger, Column, Connection, Engine, Integer, MetaData, String, Table, bindparam
from sqlalchemy.exc import IntegrityError

from .database import ANSWER_SECONDS, UtcDateTime, can_write, sync_engine, translated
from .deadline import within
from .errors import NameTaken, Unavailable
from .threads import SqliteThreads

NAME_LENGTH = 100  # characters
MAX_ID = 2**63 - 1  # the largest that both databases can hold

metadata = MetaData()
table = Table(
    "users",
    metadata,
    # SQLite generates ids only for INTEGER
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("name", String(NAME_LENGTH), nullable=False, unique=True),
    Column("created_at", UtcDateTime, nullable=False),
    sqlite_autoincrement=True,  # an id is never reused, as in PostgreSQL
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


# Built once: building a statement takes longer than running it.
BY_ID = table.c.id == bindparam("user_id")
CREATE = table.insert().returning(*table.c)
FIND = table.select().where(BY_ID)
PAGE = table.select().where(table.c.id > bindparam("after")).order_by(table.c.id).limit(bindparam("most"))
DELETE = table.delete().where(BY_ID)
PING = table.select().limit(0)


def create(connection: Connection, name: str) -> User:
    """Store a new user; raise NameTaken if the name exists. A constraint of the database makes names unique."""
    try:
        return User(*connection.execute(CREATE, {"name": name, "created_at": datetime.now(UTC)}).one())
    except IntegrityError:
        raise NameTaken(name) from None


def find(connection: Connection, user_id: int) -> User | None:
    row = connection.execute(FIND, {"user_id": user_id}).first()
    return None if row is None else User(*row)


def page(connection: Connection, limit: int, after: int) -> list[User]:
    """Return at most `limit` users with an id above `after`, in the order of their ids."""
    return [User(*row) for row in connection.execute(PAGE, {"after": after, "most": limit})]


def delete(connection: Connection, user_id: int) -> bool:
    """Remove the user; return whether there was one."""
    return connection.execute(DELETE, {"user_id": user_id}).rowcount > 0


def ping(connection: Connection) -> None:
    """Raise if users can't be read or written, for example before the database has been migrated."""
    connection.execute(PING)
    if not can_write(connection):
        raise Unavailable("the database takes no writes")


class Users(Protocol):
    """Runs the functions above for the event loop. Calls raise Unavailable while the database is away."""

    async def read(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function that only reads."""

    async def write(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Run a function in a transaction, which is rolled back if the function fails or the caller gives up."""

    async def close(self) -> None:
        """Close all connections."""


def open_users(url: URL, most: int = 5) -> Users:
    """Return the worker's Users, with at most `most` connections; call it after the fork."""
    if url.get_backend_name() == "sqlite":
        return ThreadedUsers(sync_engine(url, most), most)
    from .postgresql.async_users import AsyncUsers, async_engine  # with SQLite neither driver nor ORM is loaded

    return AsyncUsers(async_engine(url, most))


class ThreadedUsers:
    """Users on SQLite: each function runs whole in a thread."""

    def __init__(self, engine: Engine, most: int) -> None:
        self._threads = SqliteThreads(engine, most)

    async def read(self, function: Callable[..., Result], *arguments: Any) -> Result:
        with translated():
            return await self._threads.readers.run(function, arguments, ANSWER_SECONDS)

    async def write(self, function: Callable[..., Result], *arguments: Any) -> Result:
        with translated():
            return await self._threads.writer.run(function, arguments, ANSWER_SECONDS)

    async def close(self) -> None:
        await self._threads.close()


class BlockingUsers:
    """Users for the WSGI baseline: functions run in the calling thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reading = engine.execution_options(isolation_level="AUTOCOMMIT")

    def read(self, function: Callable[..., Result], *arguments: Any) -> Result:
        with translated(), within(ANSWER_SECONDS), self._reading.connect() as connection:
            return function(connection, *arguments)

    def write(self, function: Callable[..., Result], *arguments: Any) -> Result:
        with translated(), within(ANSWER_SECONDS), self._engine.begin() as connection:
            return function(connection, *arguments)

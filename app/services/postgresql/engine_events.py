"""What an engine does with PostgreSQL's connections: asks each before it is used, and lets go of what is of no use.

A server may take no more writes while it still answers: it has become a standby, it is full, it goes down. Its name may
lead to another one, which only a new connection finds. If it does not, the server goes on to serve readers.
"""

from collections.abc import Sequence
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError

from .connections import BlockingConnection
from .session import Session

STAY_SECONDS = 1.0  # with a server that takes no writes, then its name is looked up again
# Read-only, full, going down, failing: https://www.postgresql.org/docs/current/errcodes-appendix.html
REFUSALS = ("25006", "53", "57P", "58")


def listen(engine: Engine, limits: Sequence[str]) -> None:
    """Connect, check and limit as PostgreSQL needs it."""
    if not engine.dialect.is_async:  # the other is told by a parameter

        @event.listens_for(engine, "do_connect")
        def do_connect(dialect: Any, record: Any, arguments: Any, parameters: Any) -> BlockingConnection:
            return BlockingConnection.open(limits, *arguments, **parameters)

    checks = Checks()
    event.listen(engine, "checkout", checks)
    event.listen(engine, "handle_error", checks.note_refusal)
    event.listen(engine, "begin", limit)


def session_of(connection: Connection) -> Session:
    """What is known of the server behind a connection that is in use."""
    session: Session = connection.connection.driver_connection.session  # type: ignore[union-attr]
    return session


class Checks:
    """Asks a connection before a request gets it: a restarted server costs a round trip, not a failed request.

    One that is older than a refusal is made anew, whichever connection was refused: so readers leave that server too.
    """

    def __init__(self) -> None:
        self._took_writes_at = 0.0  # when the newest connection to a server that takes writes was begun
        self._refused_at = 0.0

    def __call__(self, connection: Any, record: Any, proxy: Any) -> None:
        session: Session = record.driver_connection.session
        if session.unused:
            session.unused = False
            if not session.read_only:
                self._took_writes_at = max(self._took_writes_at, session.since)
            return
        _ping(connection)
        if session.read_only and session.since < self._took_writes_at:
            raise DisconnectionError("another server takes writes")
        if session.age > STAY_SECONDS and (session.read_only or session.since < self._refused_at):
            raise DisconnectionError("the server takes no writes")

    def note_refusal(self, context: ExceptionContext) -> None:
        """A server has said that it takes no writes now; what a connect is refused tells nothing of the others."""
        refused = (getattr(context.original_exception, "sqlstate", None) or "").startswith(REFUSALS)
        if refused and context.connection is not None:
            self._refused_at = monotonic()


def _ping(connection: Any) -> None:
    try:
        if hasattr(connection, "run_async"):
            connection.run_async(lambda driver: driver.ping())
        else:
            connection.ping()
    except psycopg.Error as error:
        raise InvalidatePoolError("the server does not answer") from error


def limit(connection: Connection) -> None:
    """Behind a pooler a session is ours for one transaction, and so are its limits; readers need one for that."""
    session = session_of(connection)
    if session.pooled:
        # so that psycopg sends no BEGIN of its own in a message before
        connection.connection.dbapi_connection.autocommit = True  # type: ignore[union-attr]
        connection.exec_driver_sql("; ".join(["BEGIN", *(f"SET LOCAL {setting}" for setting in session.limits)]))

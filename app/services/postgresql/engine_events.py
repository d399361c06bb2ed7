"""An engine's checks of PostgreSQL connections before each use; a connection that is of no use is replaced.

A server may refuse writes while it still answers: it has become a standby, its disk is full, or it is going down. Its
host name may lead to another server by then, which only a new connection finds. If not, it goes on serving readers.
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

STAY_SECONDS = 1.0  # with a server that takes no writes, until its name is looked up again
# Read-only, full, going down, failing: https://www.postgresql.org/docs/current/errcodes-appendix.html
REFUSALS = ("25006", "53", "57P", "58")


def listen(engine: Engine, limits: Sequence[str]) -> None:
    """Register the events of an engine for PostgreSQL: connect, check and set limits."""
    if not engine.dialect.is_async:  # an async engine has a parameter for it

        @event.listens_for(engine, "do_connect")
        def do_connect(dialect: Any, record: Any, arguments: Any, parameters: Any) -> BlockingConnection:
            return BlockingConnection.open(limits, *arguments, **parameters)

    checks = Checks()
    event.listen(engine, "checkout", checks)
    event.listen(engine, "handle_error", checks.note_refusal)
    event.listen(engine, "begin", limit)


def session_of(connection: Connection) -> Session:
    """Return the Session of a connection that is in use."""
    session: Session = connection.connection.driver_connection.session  # type: ignore[union-attr]
    return session


class Checks:
    """Pings a connection before a request gets it: a restarted server costs a round trip, not a failed request.

    A refused write on any connection replaces all connections begun before it, so that readers leave that server too.
    """

    def __init__(self) -> None:
        self._took_writes_at = 0.0  # when the newest connection to a writable server was begun
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
        """Note that a server takes no writes now. A refused connect is not counted: it says nothing of the others."""
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
    """Set limits behind a pooler, where a session is ours for one transaction only; readers begin one for this."""
    session = session_of(connection)
    if session.pooled:
        # else psycopg sends a BEGIN of its own in an earlier message
        connection.connection.dbapi_connection.autocommit = True  # type: ignore[union-attr]
        connection.exec_driver_sql("; ".join(["BEGIN", *(f"SET LOCAL {setting}" for setting in session.limits)]))

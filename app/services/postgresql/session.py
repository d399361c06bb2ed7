"""The state of the server behind a connection, and the queries that find it out.

A pooler such as PgBouncer may run each transaction in another session of the server, so that a session's settings and
prepared statements reach other clients. Behind one, limits are set for each transaction and nothing is prepared.
A server tells each client the process id of its session. A pooler sends an id of its own instead, for cancelling
queries; this difference reveals the pooler.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from psycopg import generators
from psycopg.abc import PQGen
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

PING = b"SELECT current_setting('transaction_read_only'), pg_backend_pid()"


@dataclass(slots=True)
class Session:
    """The state of the server behind a connection."""

    limits: Sequence[str]
    pooled: bool
    read_only: bool
    since: float  # when connecting began: the host name led to this server then
    unused: bool = True

    @property
    def age(self) -> float:
        return monotonic() - self.since


def ask(pgconn: PGconn, query: bytes) -> PQGen[list[bytes | None]]:
    """Run statements in one message, outside psycopg's transactions; return the first row of the last result."""
    pgconn.send_query(query)
    result = (yield from generators.execute(pgconn))[-1]
    if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        raise error_from_result(result)
    return [result.get_value(0, column) for column in range(result.nfields)]


def greet(pgconn: PGconn, limits: Sequence[str], since: float) -> PQGen[Session]:
    """Query the server behind a new connection; without a pooler, set the session's limits once."""
    read_only, process_id = yield from ask(pgconn, PING)
    session = Session(limits, int(process_id or 0) != pgconn.backend_pid, read_only == b"on", since)
    if not session.pooled:
        yield from ask(pgconn, "; ".join(f"SET {limit}" for limit in limits).encode())
    return session


def ping(pgconn: PGconn, session: Session) -> PQGen[None]:
    """Check that the server answers, and update whether it takes writes."""
    read_only, _ = yield from ask(pgconn, PING)
    session.read_only = read_only == b"on"

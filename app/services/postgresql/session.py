"""What is known of the server behind a connection, and how it is asked.

A pooler such as PgBouncer gives each transaction to another session of the server, so that a session's settings and
prepared statements reach other clients. Behind one, limits are set for each transaction and nothing is prepared.
A server tells its clients the process id of their session. A pooler makes up another one, by which they cancel queries:
that is how it is recognised.
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
    """What is known of the server behind a connection."""

    limits: Sequence[str]
    pooled: bool
    read_only: bool
    since: float  # when connecting was begun: by then, its name led to this server
    unused: bool = True

    @property
    def age(self) -> float:
        return monotonic() - self.since


def ask(pgconn: PGconn, query: bytes) -> PQGen[list[bytes | None]]:
    """Run statements outside of psycopg's transactions, in one message; the last row of the last one."""
    pgconn.send_query(query)
    result = (yield from generators.execute(pgconn))[-1]
    if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
        raise error_from_result(result)
    return [result.get_value(0, column) for column in range(result.nfields)]


def greet(pgconn: PGconn, limits: Sequence[str], since: float) -> PQGen[Session]:
    """Learn what a new connection leads to; a session that is ours alone gets its limits once."""
    read_only, process_id = yield from ask(pgconn, PING)
    session = Session(limits, int(process_id or 0) != pgconn.backend_pid, read_only == b"on", since)
    if not session.pooled:
        yield from ask(pgconn, "; ".join(f"SET {limit}" for limit in limits).encode())
    return session


def ping(pgconn: PGconn, session: Session) -> PQGen[None]:
    """Ask the server whether it is there and takes writes."""
    read_only, _ = yield from ask(pgconn, PING)
    session.read_only = read_only == b"on"

"""Real PostgreSQL, PgBouncer and Redis from the system's packages, on free ports, in their own folders, not as root.

They listen on loopback only; each that is started here is ended here, by its pid.
"""

import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from redis import Redis as RedisClient

from slipway.ops import packages, wait
from tests.harness.processes import START_SECONDS, STOP_SECONDS, Process, children, free_ports, short_folder

DATABASE_FOLDERS = "/usr/lib/postgresql"  # Debian keeps each version's programs in its own folder
TERMINATE = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Daemon(Process):
    """A server that can be killed, stopped, continued and started again on the same port and files."""

    def __init__(self, folder: Path, command: Sequence[str], port: int) -> None:
        super().__init__(command, folder / "log", cwd=folder, user=user())
        self.port = port

    def start(self) -> None:
        """Start it and wait until it answers."""
        super().start()
        self.until_ready()

    def kill(self) -> None:
        """Kill it, whatever it does."""
        self.stop(signal.SIGKILL)

    def pause(self) -> None:
        """Stop it with SIGSTOP: connections are still accepted, and nothing is answered."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)


Kind = TypeVar("Kind", bound=Daemon)


class Postgres(Daemon):
    """PostgreSQL: an empty one or, with a primary, its streaming standby on another address with the same port."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        *,
        address: str = "127.0.0.1",
        primary: "Postgres | None" = None,
    ) -> None:
        programs = newest_programs()
        self.data = folder / "data"
        initialise = ["initdb", "-U", "slipway", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"]
        if primary is not None:
            initialise = ["pg_basebackup", "-d", primary.url("postgres"), "-R", "--no-sync", "--checkpoint=fast"]
        program, *words = [*initialise, "-D", str(self.data)]
        done = subprocess.run(
            [f"{programs}/{program}", *words], cwd=folder, capture_output=True, text=True, user=user()
        )
        assert done.returncode == 0, done.stderr
        port = primary.port if primary is not None else free_ports()
        chosen = {"listen_addresses": address, "unix_socket_directories": "", "fsync": "off", **settings}
        options = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
        super().__init__(folder, [f"{programs}/postgres", "-D", str(self.data), "-p", str(port), *options], port)
        self.address = address
        self._names = count()

    def stop(self, number: int = signal.SIGTERM, seconds: float = STOP_SECONDS) -> int:
        """End it with all its processes, paused ones too."""
        self.resume()
        return super().stop(number, seconds)

    def kill(self) -> None:
        """Shut it down immediately, without a checkpoint; after SIGKILL its children would live for a while."""
        self.stop(signal.SIGQUIT)

    def pause(self) -> None:
        """Stop all its processes with SIGSTOP: sessions do not answer, and only the kernel accepts new ones."""
        super().pause()
        self._signal_sessions(signal.SIGSTOP)

    def resume(self) -> None:
        super().resume()
        self._signal_sessions(signal.SIGCONT)

    def _signal_sessions(self, number: int) -> None:
        for pid in children(self.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @property
    def ready(self) -> bool:
        try:
            psycopg.connect(self.url("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, name: str) -> str:
        return f"postgresql://slipway@{self.address}:{self.port}/{name}"

    def new_database(self) -> str:
        """Create an empty database; return its address."""
        name = f"test{next(self._names)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def connect(self, url: str) -> "psycopg.Connection[Any]":
        """Open a session for a test."""
        return psycopg.connect(url)

    def execute(self, statement: str, database: str = "postgres") -> None:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(statement)

    def value(self, query: str, database: str = "postgres") -> Any:
        """Return the first column of a query's first row."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            row = connection.execute(query).fetchone()
            return None if row is None else row[0]

    def terminate_sessions(self) -> None:
        """End all sessions of clients, as an administrator does."""
        self.value(TERMINATE)

    def set_read_only(self, *, terminate: bool = False) -> None:
        """Accept only reads, in open sessions too; `terminate` ends these instead."""
        self.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        self.execute("SELECT pg_reload_conf()")
        if terminate:
            self.terminate_sessions()

    def demote(self) -> None:
        """Restart it as a standby."""
        self.kill()
        (self.data / "standby.signal").touch()
        self.start()

    def promote(self) -> None:
        """Promote a standby; on return it accepts writes."""
        self.execute("SELECT pg_promote()")


class PgBouncer(Daemon):
    """PgBouncer in front of a PostgreSQL, with its defaults."""

    def __init__(self, folder: Path, database: Postgres, **settings: str) -> None:
        port = free_ports()
        (folder / "users").write_text('"slipway" ""\n')
        chosen = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(port),
            "unix_socket_dir": "",
            "auth_type": "trust",
            "auth_file": str(folder / "users"),
            "max_client_conn": "500",
            **settings,
        }
        lines = [f"{name} = {value}" for name, value in chosen.items()]
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            "\n".join(["[databases]", f"* = host={database.address} port={database.port}", "[pgbouncer]", *lines, ""])
        )
        super().__init__(folder, [packages.find("pgbouncer") or "pgbouncer", str(configuration)], port)

    @property
    def ready(self) -> bool:
        return not wait.is_free("127.0.0.1", self.port)

    def url(self, url: str) -> str:
        """Return the address of the same database through this PgBouncer."""
        return f"postgresql://slipway@127.0.0.1:{self.port}/{url.rpartition('/')[2]}"


class Redis(Daemon):
    """Redis, with an append-only file or without any persistence."""

    def __init__(
        self, folder: Path, persistent: bool = True, host: str = "127.0.0.1", port: int = 0, **settings: str
    ) -> None:
        port = port or free_ports()
        self.host = host
        chosen = {"bind": host, "save": "", "appendonly": "yes" if persistent else "no", **settings}
        options = [word for name, value in chosen.items() for word in (f"--{name}", value)]
        program = packages.find("redis-server") or "redis-server"
        super().__init__(folder, [program, "--port", str(port), "--dir", str(folder), *options], port)

    @property
    def url(self) -> str:
        return f"redis://{self.host}:{self.port}/0"

    @property
    def ready(self) -> bool:
        return self.command("PING") == "+PONG"

    def client(self) -> RedisClient:
        """Return a client for a test."""
        return RedisClient.from_url(self.url)

    def command(self, *words: str) -> str:
        """Send one command; return the first line of the answer, empty if there is none."""
        try:
            with socket.create_connection((self.host, self.port), timeout=2) as connection:
                connection.sendall(" ".join(words).encode() + b"\r\n")
                return connection.recv(4_096).decode().partition("\r\n")[0]
        except OSError:
            return ""


@dataclass(frozen=True)
class RedisPair:
    """A Redis and its replica, on two addresses of this machine with the same port."""

    first: Redis
    second: Redis

    @property
    def in_step(self) -> bool:
        """Whether the replica has everything that the first one has."""
        with self.first.client() as client:
            replication = client.info("replication")
        return any(
            found["state"] == "online" and found["offset"] == replication["master_repl_offset"]
            for name, found in replication.items()
            if re.fullmatch(r"slave\d+", name)
        )

    def promote(self) -> None:
        """Make the second one a primary; the first is not told."""
        assert self.second.command("REPLICAOF NO ONE") == "+OK"

    def demote(self) -> None:
        """Make the first one a replica of the second; it then refuses writes."""
        assert self.first.command(f"REPLICAOF {self.second.host} {self.second.port}") == "+OK"


@contextmanager
def postgres(parent: Path | None = None, **settings: str) -> Iterator[Postgres]:
    """Run a PostgreSQL with its files below a folder."""
    with owned_folder(parent) as folder, _running(Postgres(folder, settings)) as server:
        yield server


@contextmanager
def standby(primary: Postgres, address: str = "127.0.0.2") -> Iterator[Postgres]:
    """Run a standby of a PostgreSQL."""
    with owned_folder() as folder, _running(Postgres(folder, {}, address=address, primary=primary)) as server:
        yield server


@contextmanager
def pgbouncer(database: Postgres, **settings: str) -> Iterator[PgBouncer]:
    """Run a PgBouncer."""
    with owned_folder() as folder, _running(PgBouncer(folder, database, **settings)) as server:
        yield server


@contextmanager
def redis(*, persistent: bool = True, host: str = "127.0.0.1", port: int = 0, **settings: str) -> Iterator[Redis]:
    """Run a Redis."""
    with owned_folder() as folder, _running(Redis(folder, persistent, host, port, **settings)) as server:
        yield server


@contextmanager
def redis_pair(**settings: str) -> Iterator[RedisPair]:
    """Run two Redis servers, the second a replica of the first."""
    port = free_ports()
    pair = {"repl-diskless-sync-delay": "0", "protected-mode": "no", **settings}
    with owned_folder() as one, owned_folder() as other, ExitStack() as running:
        first = running.enter_context(_running(Redis(one, True, "127.0.0.2", port, **pair)))
        second = Redis(other, True, "127.0.0.3", port, **pair, replicaof=f"127.0.0.2 {port}")
        running.enter_context(_running(second))
        found = RedisPair(first, second)
        assert wait.until(lambda: found.in_step, START_SECONDS), second.log()
        yield found


def newest_programs() -> str:
    """Return the folder of the newest PostgreSQL's programs."""
    found = sorted(Path(DATABASE_FOLDERS).glob("*/bin"), key=lambda path: float(path.parent.name))
    program = shutil.which("postgres")
    assert found or program, "PostgreSQL is not installed"
    return str(found[-1] if found else Path(program or "").resolve().parent)


def user() -> str | None:
    """Return the user to run as, since PostgreSQL refuses root; None for this process's own user."""
    if os.geteuid() != 0:
        return None
    return "postgres" if any(entry.pw_name == "postgres" for entry in pwd.getpwall()) else "nobody"


@contextmanager
def _running(daemon: Kind) -> Iterator[Kind]:
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.kill()


@contextmanager
def owned_folder(parent: Path | None = None) -> Iterator[Path]:
    """An empty folder owned by the servers' user."""
    with short_folder(parent) as folder:
        if owner := user():
            shutil.chown(folder, owner)
        yield folder

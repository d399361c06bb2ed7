"""Users on SQLite and PostgreSQL: a name is given once, and an unavailable database causes 503s and nothing else."""

import asyncio
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from slipway.ops.settings import ROOT
from tests.app.shared_state.stacks import Backend, Cramped, Stack, is_unavailable, new_name, on_servers
from tests.harness import servers
from tests.harness.client import request
from tests.harness.processes import until
from tests.harness.servers import Postgres
from tests.harness.stack import Server, serving
from tests.harness.walks import walk

HEAL_SECONDS = 5.0


async def heals(stack: Stack) -> None:
    """Check that a user can be created within five seconds, and that every answer until then is 503."""
    deadline = time.monotonic() + HEAL_SECONDS
    while (answer := await stack.create(new_name())).status != 201:
        assert is_unavailable(answer)
        assert time.monotonic() < deadline


async def test_one_name_is_given_once(stack: Stack) -> None:
    """Of 200 requests for one name at the same time, on all workers, one succeeds and the others get 409."""
    name = new_name()

    answers = await asyncio.gather(*(stack.create(name, number) for number in range(200)))

    assert Counter(answer.status for answer in answers) == {201: 1, 409: 199}


async def test_concurrent_writers_all_succeed(stack: Stack) -> None:
    """Writers of different workers wait for each other, and all succeed."""
    answers = await asyncio.gather(*(stack.create(new_name(), number) for number in range(300)))

    assert Counter(answer.status for answer in answers) == {201: 300}
    assert len({json.loads(answer.body)["id"] for answer in answers}) == 300


def migrate_at_once(settings: dict[str, str]) -> None:
    """Run four migrations at the same time; each must succeed."""
    env, command = {"PATH": "/usr/bin:/bin", **settings}, [sys.executable, "-m", "app.migrate"]
    processes = [
        subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=30)[0] for process in processes]

    assert [process.returncode for process in processes] == [0] * 4, outputs


def test_migrations_that_start_together(backend: Backend, tmp_path: Path) -> None:
    """Migrations of machines that start at the same time run one after the other, and none fails."""
    migrate_at_once({"DATA_DIR": str(tmp_path / "data"), **backend.env})


async def test_locked_file() -> None:
    """While another process holds SQLite's file, writers get 503, and readers are served; it recovers by itself."""
    with serving(workers=2) as server:
        address = server.address()
        name = server.folder / "data" / "slipway.db"
        other = sqlite3.connect(name, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        body = ("POST", "/api/users", b'{"name":"ann"}', "Content-Type: application/json")

        locked, read = await asyncio.gather(request(address, *body), request(address, "GET", "/api/users"))
        other.execute("ROLLBACK")
        healed = await request(address, *body)

        assert is_unavailable(locked)
        assert read.status == 200
        assert healed.status == 201
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        other.close()


async def test_locked_table(postgres: Postgres) -> None:
    """While another session holds PostgreSQL's table, requests get 503; it recovers by itself."""
    url = postgres.new_database()
    with serving(workers=2, DATABASE_URL=url) as server:
        address = server.address()
        with postgres.connect(url) as other:
            other.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            answers = await asyncio.gather(*(request(address, "GET", "/api/users") for _ in range(20)))
            other.rollback()

        assert all(is_unavailable(answer) for answer in answers)
        assert (await request(address, "GET", "/api/users")).status == 200


@on_servers
async def test_restarted_database(stack: Stack) -> None:
    """An immediate shutdown and restart of PostgreSQL causes 503s, and the app recovers without a reload."""
    postgres = stack.postgres
    assert postgres is not None
    statuses: Counter[int] = Counter()
    stopped = asyncio.Event()

    async def load(client: int) -> None:
        while not stopped.is_set():
            answer = await stack.create(new_name(), client)
            statuses[answer.status] += 1
            assert answer.status == 201 or is_unavailable(answer), answer

    async with asyncio.timeout(40), asyncio.TaskGroup() as group:
        for client in range(8):
            group.create_task(load(client))
        await until(lambda: statuses[201] > 50, 20)
        await asyncio.to_thread(postgres.kill)
        await until(lambda: statuses[503] > 20, 20)
        await asyncio.to_thread(postgres.start)
        made = statuses[201]
        await until(lambda: statuses[201] > made + 50, HEAL_SECONDS)
        stopped.set()

    assert set(statuses) == {201, 503}


async def test_database_is_away_when_a_worker_starts() -> None:
    """A worker that starts without its database serves other requests, reports the database, and recovers."""
    with servers.postgres() as postgres, serving(workers=1, DATABASE_URL=postgres.new_database()) as server:
        address = server.address()
        (before,) = server.pids()
        await asyncio.to_thread(postgres.kill)
        os.kill(before, signal.SIGKILL)
        await until(lambda: server.pids() not in ([], [before]), 10)

        plain = await request(address, "GET", "/plaintext")
        users = await request(address, "GET", "/api/users")
        away = await request(address, "GET", "/readyz")
        await asyncio.to_thread(postgres.start)
        back = time.monotonic()
        while (await request(address, "GET", "/readyz")).status != 200:
            assert time.monotonic() - back < HEAL_SECONDS

        assert plain.status == 200
        assert is_unavailable(users)
        assert (away.status, json.loads(away.body)["checks"]["database"]) == (503, "fail")
        assert (await request(address, "GET", "/api/users")).status == 200


async def test_read_only_database(postgres: Postgres) -> None:
    """A PostgreSQL that has become read-only serves readers, and writers get 503."""
    url = postgres.new_database()
    with serving(workers=1, DATABASE_URL=url) as server:
        body = ("POST", "/api/users", b'{"name":"ann"}', "Content-Type: application/json")
        postgres.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        postgres.execute("SELECT pg_reload_conf()")
        try:
            deadline = time.monotonic() + HEAL_SECONDS
            while (answer := await request(server.address(), *body)).status == 201:
                assert time.monotonic() < deadline
        finally:
            postgres.execute("ALTER SYSTEM RESET default_transaction_read_only")
            postgres.execute("SELECT pg_reload_conf()")
        deadline = time.monotonic() + HEAL_SECONDS
        while (healed := await request(server.address(), *body)).status == 503:
            assert time.monotonic() < deadline

        assert is_unavailable(answer)
        assert healed.status in (201, 409)


async def test_full_disk(cramped: Cramped) -> None:
    """When the database's disk is full, writers get 503, and readers are served; it recovers when there is space."""
    stack, disk = cramped.stack, cramped.disk
    before = json.loads((await stack.create(new_name())).body)
    disk.fill()
    try:
        made = 0
        while (answer := await stack.create(new_name() + "x" * 60)).status == 201:  # until the free space is used up
            made += 1
        read = await request(stack.address, "GET", f"/api/users?limit=100&after={before['id']}")
    finally:
        disk.free()
    await heals(stack)

    assert is_unavailable(answer)
    assert read.status == 200
    assert len(json.loads(read.body)["users"]) == min(made, 100)


async def test_disk_error() -> None:
    """When the system refuses writes to SQLite's files (EFBIG here), writers get 503, and the file stays intact."""
    with serving(workers=1) as server:
        address = server.address()
        (pid,) = server.pids()
        statuses = []
        await request(address, "POST", "/api/users", b'{"name":"first"}', "Content-Type: application/json")
        size = max(path.stat().st_size for path in (server.folder / "data").glob("*-wal"))
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 8_192, resource.RLIM_INFINITY))
        for number in range(40):
            body = json.dumps({"name": f"{number} {'x' * 90}"}).encode()
            answer = await request(address, "POST", "/api/users", body, "Content-Type: application/json")
            statuses.append(answer.status)
            if answer.status != 201:
                break
        read = await request(address, "GET", "/api/users?limit=100")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        healed = await request(address, "POST", "/api/users", b'{"name":"ann"}', "Content-Type: application/json")

        assert is_unavailable(answer), statuses
        assert read.status == 200
        assert len(json.loads(read.body)["users"]) == statuses.count(201) + 1
        assert healed.status == 201
        with sqlite3.connect(server.folder / "data" / "slipway.db") as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()


@pytest.mark.parametrize("arguments", walk({"settings": [], "command line": ["--workers", "5"]}, "command line"))
async def test_connections_of_all_workers(postgres: Postgres, arguments: list[str]) -> None:
    """All workers together open at most DATABASE_CONNECTIONS connections, however many requests come."""
    url = postgres.new_database()
    env = {"DATABASE_URL": url, "DATABASE_CONNECTIONS": "21"}
    with serving(workers=2, slots="shared", arguments=arguments, **env) as server:
        workers = len(server.pids())
        answers = await asyncio.gather(*(request(server.address(), "GET", "/api/users") for _ in range(200)))
        with postgres.connect(url) as session:
            name = url.rpartition("/")[2]
            row = session.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = %s", [name]).fetchone()

        assert Counter(answer.status for answer in answers) == {200: 200}
        assert row is not None
        assert workers < row[0] - 1 <= 21


@pytest.mark.parametrize(
    ("settings", "wanted"), [({"DATABASE_CONNECTIONS": "58"}, 58), ({"DATABASE_CONNECTIONS": "1", "workers": 56}, 58)]
)
async def test_more_connections_than_the_server_has(
    folder: Path, postgres: Postgres, settings: dict[str, Any], wanted: int
) -> None:
    """More connections than the server has are refused at the start, in one line with both numbers."""
    server = Server(folder, DATABASE_URL=postgres.new_database(), **settings)
    server.start()

    assert await server.exit_code(20) == 1
    said = f"DATABASE_CONNECTIONS='{wanted}' is not allowed: at most 57, which is what the server has"
    assert said in server.messages()

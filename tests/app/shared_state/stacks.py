"""The stack of these tests: its workers run here or in containers, with their state on one of the back ends.

Tests that work on any `Stack` run in both places: tests/docker imports them and has a `stack` fixture of its own.
"""

import json
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from tests.harness.client import Address, Answer, request
from tests.harness.servers import Postgres, Redis
from tests.harness.stack import Nginx, Server
from tests.harness.stores import Disk, LockedFile, Service, Store
from tests.promises import talk

on_servers = pytest.mark.parametrize("backend", ["servers"], indirect=True)  # for tests that make no sense with files


class Stack(ABC):
    """Workers behind nginx, and the faults that a test may cause in them and in their state."""

    address: Address  # nginx's
    bus: Store
    redis: Service | None = None  # only with PostgreSQL and Redis, as the next
    postgres: Service | None = None

    @property
    def slots(self) -> list[Address]:
        """The addresses that reach all workers: one for each where possible."""
        return [self.address]

    @abstractmethod
    async def kill_worker(self) -> None:
        """Send SIGKILL to a worker and wait for its successor."""

    @abstractmethod
    async def reload(self) -> None: ...

    @abstractmethod
    async def reload_nginx(self) -> None: ...

    async def create(self, name: str, number: int = 0) -> Answer:
        """POST a user; the number chooses one of the slots."""
        return await create(self.slots[number % len(self.slots)], name)

    async def failing(self) -> set[str]:
        """Return the failing or warning dependencies that a worker's readiness names."""
        return {name for name, word in (await self.checks()).items() if word != "pass"}

    async def checks(self) -> dict[str, str]:
        """Return the state of each dependency; the worker is ready unless one fails."""
        answer = await request(self.address, "GET", "/readyz")
        checks: dict[str, str] = json.loads(answer.body)["checks"]
        assert answer.status == (503 if "fail" in checks.values() else 200)
        return checks


@dataclass(frozen=True)
class Cramped:
    """A stack whose data is on a disk that can be filled."""

    stack: Stack
    disk: Disk


def new_name() -> str:
    """Return a name that no user has."""
    return uuid4().hex


async def create(address: Address, name: str) -> Answer:
    body = json.dumps({"name": name}).encode()
    return await request(address, "POST", "/api/users", body, "Content-Type: application/json")


def is_unavailable(answer: Answer) -> bool:
    """Return whether an answer is a 503 as problem details, with `Retry-After`."""
    problem: dict[str, Any] = json.loads(answer.body)
    return (answer.status, problem["status"], answer.headers["retry-after"]) == (503, 503, "1")


@dataclass
class Backend:
    """The place of the state: settings of the app, and the servers that a test may break."""

    name: str
    env: dict[str, str] = field(default_factory=dict)
    postgres: Postgres | None = None
    redis: Redis | None = None


class LocalStack(Stack):
    """gunicorn and nginx as local processes."""

    def __init__(self, server: Server, nginx: Nginx, backend: Backend) -> None:
        self.server = server
        self.nginx = nginx
        self.backend = backend
        self.address = nginx.address
        self.redis, self.postgres = backend.redis, backend.postgres
        self.bus = backend.redis or LockedFile(f"{server.environment['DATA_DIR']}/bus.db", sys.executable)

    @property
    def slots(self) -> list[Address]:
        return [self.server.address(slot) for slot in range(self.server.workers)]

    async def kill_worker(self) -> None:
        await talk.worker_killed(self.server)()

    async def reload(self) -> None:
        await talk.reloaded(self.server)()

    async def reload_nginx(self) -> None:
        await talk.nginx_reloaded(self.nginx)()

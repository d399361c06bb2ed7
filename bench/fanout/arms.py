"""The rooms under test: how each is started on two workers, and the messages of its clients."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.run import machine, processes
from bench.run.arms import program
from bench.run.processes import ManagedProcess
from slipway.ops import wait
from slipway.ops.settings import ROOT

WORKERS = 2


@dataclass(frozen=True, slots=True)
class RoomDialect:
    """The format on the wire: a greeting, a numbered message, and the function that reads the number back."""

    path: str
    say: Callable[[int], bytes]
    number: Callable[[bytes], int | None]
    greeting: bytes = b""  # the first text of a client; the reply begins with it, too
    ping: bytes = b""  # a text that the client answers with `pong`
    pong: bytes = b""


@dataclass(frozen=True, slots=True)
class ServedRoom:
    """Running servers and their ports, over which the clients are spread."""

    servers: Sequence[ManagedProcess]
    ports: Sequence[int]

    def cpu_seconds(self) -> float:
        return machine.cpu_seconds([pid for server in self.servers for pid in machine.tree(server.pid)])


@dataclass(frozen=True, slots=True)
class FanoutArm:
    """One way to serve a room."""

    name: str
    dialect: RoomDialect
    start: Callable[[ExitStack, Path, str], ServedRoom]


def _of_json(payload: bytes) -> int | None:
    value = json.loads(payload)
    return int(value["message"]) if "message" in value else None


OURS = RoomDialect("/ws/chat", lambda number: b'{"user":"bench","message":"%d"}' % number, _of_json)
CHANNELS = RoomDialect("/ws/chat", lambda number: b'{"user":"bench","message":"%d"}' % number, _of_json)
SOCKETIO = RoomDialect(
    "/socket.io/?EIO=4&transport=websocket",
    lambda number: b'42["message",{"user":"bench","message":"%d"}]' % number,
    lambda payload: int(json.loads(payload[2:])[1]["message"]) if payload.startswith(b"42") else None,
    greeting=b"40",
    ping=b"2",
    pong=b"3",
)


def slipway(bus: Callable[[str], str]) -> Callable[[ExitStack, Path, str], ServedRoom]:
    """Slipway: one gunicorn with a port for each worker."""

    def start(stack: ExitStack, folder: Path, redis: str) -> ServedRoom:
        port = next_to_each_other()
        env = {
            "SLOT_PORT": str(port), "WEB_CONCURRENCY": str(WORKERS), "BUS_URL": bus(redis), "ACCESS_LOG": "0",
            "DATA_DIR": str(folder / "data"), "RUN_DIR": str(folder), "MESSAGES_PER_SECOND": "1000000",
        }  # fmt: skip
        command = [program("gunicorn"), "-k", "uvicorn.workers.UvicornWorker", "app.main:application"]
        server = _started(stack, "slipway", command, folder, env, [port, port + 1])
        return ServedRoom([server], [port, port + 1])

    return start


def next_to_each_other() -> int:
    """Return the first of two adjacent free ports."""
    while True:
        port = processes.free_port()
        if wait.is_free("127.0.0.1", port + 1):
            return port


def uvicorns(app: str, extra: Mapping[str, str]) -> Callable[[ExitStack, Path, str], ServedRoom]:
    """One process of uvicorn for each worker, as behind a proxy with several ports."""

    def start(stack: ExitStack, folder: Path, redis: str) -> ServedRoom:
        ports = [processes.free_port() for _ in range(WORKERS)]
        servers = []
        for port in ports:
            command = [
                sys.executable,
                "-m",
                "uvicorn",
                "--port",
                str(port),
                "--no-access-log",
                "--log-level",
                "warning",
                app,
            ]
            servers.append(_started(stack, app, command, folder, {**extra, "REDIS_URL": redis}, [port]))
        return ServedRoom(servers, ports)

    return start


def _started(
    stack: ExitStack, name: str, command: Sequence[str], folder: Path, env: Mapping[str, str], ports: Sequence[int]
) -> ManagedProcess:
    cpus = machine.split_cpus().servers
    process = processes.start(name, command, log=folder / f"{name}.log", cpus=cpus, env=env, cwd=ROOT)
    stack.callback(process.stop)
    for port in ports:
        process.wait_for(("127.0.0.1", port), 60)
    return process


APPS = "bench.fanout.apps"
PUBSUB, CORE = "channels_redis.pubsub.RedisPubSubChannelLayer", "channels_redis.core.RedisChannelLayer"
ARMS = (
    FanoutArm("Slipway, Redis", OURS, slipway(lambda redis: redis)),
    FanoutArm("Slipway, embedded", OURS, slipway(lambda redis: "embedded")),
    FanoutArm("python-socketio, Redis", SOCKETIO, uvicorns(f"{APPS}.socketio_room:application", {})),
    FanoutArm(
        "Channels, pub/sub layer",
        CHANNELS,
        uvicorns(f"{APPS}.channels_room:application", {"LAYER": PUBSUB}),
    ),
    FanoutArm(
        "Channels, core layer",
        CHANNELS,
        uvicorns(f"{APPS}.channels_room:application", {"LAYER": CORE}),
    ),
    FanoutArm("Slipway, Redis again (noise)", OURS, slipway(lambda redis: redis)),
)


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Start a Redis for the benchmark; its CPU time is not counted for any arm."""
    port = processes.free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(folder)]
    server = processes.start("redis", command, log=folder / "redis.log")
    try:
        server.wait_for(("127.0.0.1", port))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.stop()

"""The settings of the process model, checked; `.env.example` is the manual. Nothing here changes the machine."""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slipway.environment import Environment, SettingError
from slipway.middleware.settings import GuardSettings
from slipway.project import IN_DATA_DIR, command, served
from slipway.serving import ladder
from slipway.serving.cpus import worker_count

LOG_FORMATS = ("json", "console")
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
MAX_SOCKET_PATH = 107  # bytes; sun_path of Linux's unix(7) less the closing NUL

STARTED_AS = os.getpid()  # --daemon gives the server another pid after its settings were read

STATUS_SOCKET = "nginx.sock"  # nginx's own figures, beside the workers' sockets; docker-compose.yml has the same name


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """All settings of the process model. Times are in seconds, sizes in bytes."""

    workers: int
    workers_reason: str
    instance: str
    run_dir: Path
    socket_dir: Path | None
    slot_host: str
    slot_port: int
    lame_duck: float
    drain: float
    graceful_shutdown: float
    graceful_timeout: int
    timeout: int
    keepalive: int
    stop_grace_period: float
    proxy_read_timeout: int
    max_requests: int
    max_requests_jitter: int
    max_worker_memory: int
    forwarded_allow_ips: str
    log_level: str
    log_format: str
    metrics_host: str
    metrics_port: int
    prestart: Sequence[str]
    static: Sequence[str]
    static_dir: Path | None
    preload: Sequence[str]
    """Libraries to load before the fork: `auto`, `off` or names."""
    guard: GuardSettings

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> "ServerSettings":
        """Read and check every setting; raise SettingError, naming the variable, for a wrong one."""
        env, project = Environment(variables), served(variables)
        count = worker_count()
        workers = env.integer("WEB_CONCURRENCY", count.workers, 1, 1024)
        socket_dir = Path(env.text("SOCKET_DIR")).absolute() if env.text("SOCKET_DIR") else None
        slots = socket_dir is not None or bool(env.text("SLOT_PORT"))
        graceful_timeout = env.integer("GRACEFUL_TIMEOUT", 8, 3, 3600)
        max_requests = env.integer("MAX_REQUESTS", 0, 0, 1 << 31)
        settings = cls(
            workers=workers,
            workers_reason="WEB_CONCURRENCY" if env.text("WEB_CONCURRENCY") else count.reason,
            # Without slots every start is an instance of its own, so that none takes another's control socket.
            instance=env.text("INSTANCE", socket.gethostname() if slots else f"gunicorn-{STARTED_AS}"),
            run_dir=socket_dir or Path(env.text("RUN_DIR", ".run")).absolute(),
            socket_dir=socket_dir,
            slot_host=env.text("SLOT_HOST", "127.0.0.1"),
            slot_port=env.integer("SLOT_PORT", 0, 0, 65_535 - workers),
            lame_duck=env.seconds("LAME_DUCK_SECONDS", 0, 0, 3600),
            drain=env.seconds("DRAIN_SECONDS", 2, 0, 3600),
            graceful_shutdown=graceful_timeout - 2,  # the rest is for lifespan.shutdown
            graceful_timeout=graceful_timeout,
            timeout=env.integer("TIMEOUT", 30, 4, 86_400),
            keepalive=env.integer("KEEPALIVE", 75, 1, 3600),
            stop_grace_period=env.seconds("STOP_GRACE_PERIOD", 20, 1, 86_400),
            proxy_read_timeout=ladder.read_timeout(env),
            max_requests=max_requests,
            max_requests_jitter=env.integer("MAX_REQUESTS_JITTER", max_requests // 2, 0, 1 << 31),
            max_worker_memory=env.integer("MAX_WORKER_MEMORY", 0, 0, 1 << 50),
            # A unix socket has no peer address, and uvicorn trusts such a peer only with "*"; the socket's mode says
            # who may connect, and nginx overwrites what a client sent. On TCP only this machine is trusted.
            forwarded_allow_ips=env.text("FORWARDED_ALLOW_IPS", "*" if socket_dir else "127.0.0.1,::1"),
            log_level=env.choice("LOG_LEVEL", "info", LOG_LEVELS),
            prestart=command("PRESTART", env.text("PRESTART")) if env.text("PRESTART") else project.prestart,
            static=[folder for _, folder in project.static if not folder.startswith(IN_DATA_DIR)],
            static_dir=Path(env.text("STATIC_VOLUME")) if env.text("STATIC_VOLUME") else None,
            metrics_host=env.text("METRICS_HOST", "127.0.0.1").strip("[]"),
            metrics_port=env.integer("METRICS_PORT", 0, 0, 65_535),
            log_format=env.choice("LOG_FORMAT", "json", LOG_FORMATS),
            preload=_preload(env.text("PRELOAD", "auto")),
            guard=GuardSettings.from_environment(variables),
        )
        settings.check()
        return settings

    def check(self) -> None:
        """Raise SettingError for a wrong order of time-outs, or for a socket path that is too long."""
        ladder.check(
            drain=self.drain,
            graceful_timeout=self.graceful_timeout,
            timeout=self.timeout,
            keepalive=self.keepalive,
            lame_duck=self.lame_duck,
            stop_grace_period=self.stop_grace_period,
        )
        for path in [self.run_dir / f"{self.instance}.ctl", *map(Path, self.socket_paths())]:
            if len(os.fsencode(path)) > MAX_SOCKET_PATH:
                raise SettingError(
                    "SOCKET_DIR", str(path), f"a path of at most {MAX_SOCKET_PATH} bytes, sockets' names included"
                )

    @property
    def has_slots(self) -> bool:
        """Whether each worker has a listener of its own."""
        return self.socket_dir is not None or self.slot_port > 0

    @property
    def slots(self) -> int:
        """The number of listeners for one worker each; 0 without slots."""
        return self.workers if self.has_slots else 0

    def socket_paths(self) -> list[str]:
        """Return the paths of the slots' unix sockets."""
        if self.socket_dir is None:
            return []
        return [str(self.socket_dir / f"{self.instance}-{slot}.sock") for slot in range(self.workers)]

    @property
    def proxy_socket(self) -> str:
        """The unix socket on which nginx serves its own figures; empty where nginx is elsewhere."""
        return str(self.socket_dir / STATUS_SOCKET) if self.socket_dir is not None else ""

    @property
    def metrics_socket(self) -> str:
        """The unix socket that answers with the metrics."""
        return str(self.run_dir / f"{self.instance}.stats")

    def addresses(self) -> list[str]:
        """Return the addresses that gunicorn binds: one per slot, or one that all workers share."""
        if self.socket_dir is not None:
            return [f"unix:{path}" for path in self.socket_paths()]
        if self.slot_port:
            return [f"{self.slot_host}:{self.slot_port + slot}" for slot in range(self.workers)]
        return ["127.0.0.1:8000"]


def _preload(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(part.isidentifier() for name in names for part in name.split(".")):
        raise SettingError("PRELOAD", text, "auto, off, or names of libraries, separated by commas")
    return names

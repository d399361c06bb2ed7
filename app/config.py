"""The app's settings. The only module in `app/` that reads the environment; `.env.example` is the manual."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from slipway.environment import Environment, SettingError

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
ORIGIN = re.compile(r"https?://[^/?#@\s]+")  # as browsers write it: no path
MOST_PER_POOL = 10  # more are no faster: a worker uses one core, and most of its queries use one each
SPARE_WORKERS = 2  # additional workers while workers are replaced
MAX_SOCKET_PATH = 107  # bytes; sun_path of Linux's unix(7) less the closing NUL


@dataclass(frozen=True, slots=True)
class AppSettings:
    """All settings of the app, checked."""

    data_dir: Path
    database_url: URL
    database_connections: int
    workers: int
    bus_url: str
    bus_password: str = field(repr=False)  # empty: the URL's own, if any
    max_body_bytes: int
    keep_messages: int
    keep_seconds: int
    keep_bytes: int
    messages_per_second: int
    allowed_origins: frozenset[str]
    log_level: str
    bench_endpoints: bool
    migrate: bool
    worker_slot: int | None
    commit: str

    @classmethod
    def from_environment(cls, variables: Mapping[str, str] | None = None) -> "AppSettings":
        """Read and check every setting; raise SettingError, naming the variable, for a wrong one."""
        env = Environment(variables)
        data_dir = Path(env.text("DATA_DIR", ".run/data")).absolute()
        slot = env.integer("WORKER_SLOT", -1, -1, 4096)
        workers = env.integer("WEB_CONCURRENCY", os.cpu_count() or 1, 1, 1024)
        return cls(
            data_dir=data_dir,
            database_url=_with_password(
                _database_url(env.text("DATABASE_URL"), data_dir), env.text("DATABASE_PASSWORD_FILE")
            ),
            database_connections=env.integer("DATABASE_CONNECTIONS", 40, 1, 100_000),
            workers=env.integer("WORKER_COUNT", workers, 1, 1024),
            bus_url=(bus_url := _bus_url(env.text("BUS_URL", "embedded"), data_dir)),
            bus_password=_bus_password(bus_url, env.text("BUS_PASSWORD_FILE")),
            max_body_bytes=env.integer("MAX_BODY_BYTES", 1 << 20, 1, 1 << 30),
            keep_messages=env.integer("KEEP_MESSAGES", 10_000, 1, 10_000_000),
            keep_seconds=env.integer("KEEP_SECONDS", 3_600, 1, 31_536_000),
            keep_bytes=env.integer("KEEP_BYTES", 64 << 20, 1 << 20, 1 << 40),
            messages_per_second=env.integer("MESSAGES_PER_SECOND", 100, 1, 1_000_000),
            allowed_origins=_origins(env.text("ALLOWED_ORIGINS")),
            log_level=env.choice("LOG_LEVEL", "info", LOG_LEVELS),
            bench_endpoints=env.flag("BENCH_ENDPOINTS", False),
            migrate=not env.flag("PRESTARTED", False),
            worker_slot=None if slot < 0 else slot,
            commit=env.text("COMMIT", "unknown"),
        )

    @property
    def database_pool(self) -> int:
        """The most database connections that one worker opens."""
        return max(1, min(MOST_PER_POOL, self.database_connections // (self.workers + SPARE_WORKERS)))

    @property
    def most_database_connections(self) -> int:
        """The most database connections of all workers together; at least one per worker, whatever the setting."""
        return max(self.database_connections, self.workers + SPARE_WORKERS)


def _database_url(text: str, data_dir: Path) -> URL:
    if not text:
        return URL.create(DRIVERS["sqlite"], database=f"{data_dir}/slipway.db")  # not parsed: a path may have a "?"
    error = SettingError(
        "DATABASE_URL",
        text.rpartition("@")[2],  # without the password
        "sqlite:///path/to/file.db or postgresql://user:password@host:5432/name",
    )
    try:
        url = make_url(text)
        driver = DRIVERS[url.get_backend_name()]
    except (ArgumentError, KeyError, ValueError):  # ValueError: a port that is no number
        raise error from None
    if driver == "sqlite" and url.database in (None, "", ":memory:"):  # each connection would have its own database
        raise error
    return url.set(drivername=driver)


def _with_password(url: URL, file: str) -> URL:
    """Add the password from a file if the URL has none."""
    if url.password is not None or url.get_backend_name() == "sqlite":
        return url
    password = _password("DATABASE_PASSWORD_FILE", file)
    return url.set(password=password) if password else url


def _bus_password(url: str, file: str) -> str:
    """Return the password from a file if the bus is Redis and its URL has none, else an empty text."""
    if url == "embedded" or urlsplit(url).password is not None or "password" in parse_qs(urlsplit(url).query):
        return ""
    return _password("BUS_PASSWORD_FILE", file)


def _password(name: str, file: str) -> str:
    """Return a file's content without its final line break; empty without a file name, or for `none`."""
    if file in ("", "none"):
        return ""
    try:
        return Path(file).read_text().removesuffix("\n")
    except (OSError, ValueError) as error:
        raise SettingError(name, file, f'a file of text that can be read, or "none" ({error})') from None


def _bus_url(text: str, data_dir: Path) -> str:
    if text == "embedded":
        longest = f"{data_dir}/bus-4194304.sock"
        if len(longest.encode()) > MAX_SOCKET_PATH:
            raise SettingError("DATA_DIR", str(data_dir), f"a path of at most {MAX_SOCKET_PATH - 17} bytes")
    elif not text.startswith(("redis://", "rediss://", "unix://")) or not _can_be_parsed(text):
        raise SettingError("BUS_URL", text.rpartition("@")[2], "embedded or redis://host:6379/0")
    return text


def _can_be_parsed(url: str) -> bool:
    try:
        urlsplit(url)
    except ValueError:  # such as brackets without an address
        return False
    return True


def _origins(text: str) -> frozenset[str]:
    origins = frozenset(origin.strip().rstrip("/") for origin in text.split(",") if origin.strip())
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise SettingError("ALLOWED_ORIGINS", origin, "origins like https://example.com, separated by commas")
    return origins

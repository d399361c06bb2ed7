"""The settings of the stack, from the environment and `.env`; `.env.example` is the manual."""

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.environment import Environment, SettingError
from slipway.ops import address, dotenv
from slipway.ops.acme import AcmeSettings
from slipway.ops.edge import EdgeSettings
from slipway.ops.https import HttpsSettings
from slipway.ops.site import SiteSettings, below, contacts
from slipway.paths import health_paths, private_paths, ready_path
from slipway.project import FILE, Project, command, served
from slipway.serving.ladder import read_timeout

ROOT = Path(__file__).resolve().parents[2]
DOTENV = ".env"
NO_APP = "nothing:nothing"  # stands for the app if pyproject.toml can't be read
TARGET = re.compile(r"/[!-\"$-~]*")  # of a request: printable ASCII without `#`


@dataclass(frozen=True, slots=True)
class StackSettings:
    """The checked settings that the verbs read."""

    runtime: str
    host: str
    http_port: int
    baseline: bool
    baseline_port: int
    locust_workers: int
    prometheus_port: int
    project: Project
    prestart: tuple[str, ...]
    ready_path: str
    ready_host: str
    health_paths: tuple[str, ...]
    private_paths: tuple[str, ...]
    edge: EdgeSettings
    prove_path: str
    timeout: int
    run_dir: Path
    max_body_bytes: int
    proxy_read_timeout: int
    https: HttpsSettings
    acme: AcmeSettings
    site: SiteSettings
    log_query: bool
    lame_duck: float
    stop_grace_period: float
    image: str
    request: str
    postgres_password: str = field(repr=False)
    redis_password: str = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)  # all set variables
    overrides: Mapping[str, str] = field(repr=False)  # those of them that callers have set

    @classmethod
    def load(cls, remembered: Mapping[str, str] | None = None, ignored: Collection[str] = ()) -> "StackSettings":
        """Read and check the settings; the environment takes precedence over `.env`, and `.env` over remembered values.

        Names in `ignored` get their defaults; `.env` and pyproject.toml can be ignored too.
        """
        file = {} if DOTENV in ignored else dotenv.read(ROOT / DOTENV, os.environ)
        overrides = {name: os.environ[name] for name in documented() | file.keys() if name in os.environ}
        before = remembered or {}
        found = {name: value for name, value in {**before, **file, **overrides}.items() if name not in ignored}
        return cls.of(found, {**before, **overrides}, Project(NO_APP) if FILE in ignored else None)

    @classmethod
    def load_leniently(cls, say: Callable[[str], None], remembered: Mapping[str, str] | None = None) -> "StackSettings":
        """Load the settings for a verb that works despite wrong ones: report each and use its default."""
        ignored: set[str] = set()
        while True:
            try:
                return cls.load(remembered, ignored)
            except SettingError as error:
                name = next((file for file in (DOTENV, FILE) if file in error.name), error.name)
                if name in ignored:
                    raise
                say(f"  {error}; ignored here")
                ignored.add(name)

    @classmethod
    def of(
        cls, variables: Mapping[str, str], overrides: Mapping[str, str], project: Project | None = None
    ) -> "StackSettings":
        """Return the settings of these variables; raise SettingError for a wrong value."""
        env = Environment(variables)
        project = project or served(variables)
        edge = EdgeSettings.from_environment(env)
        run_dir = Path(env.text("RUN_DIR", str(ROOT / ".run"))).absolute()
        https = HttpsSettings.from_environment(env, run_dir)
        return cls(
            runtime=env.choice("RUNTIME", "auto", ("auto", "docker", "local")),
            host=env.text("HOST", "127.0.0.1").strip("[]"),
            http_port=env.integer("HTTP_PORT", 8080, 1, 65_535),
            baseline=env.flag("BASELINE", False),
            baseline_port=env.integer("BASELINE_PORT", 8081, 1, 65_535),
            locust_workers=env.integer("LOCUST_WORKERS", 2, 1, 100),
            prometheus_port=env.integer("PROMETHEUS_PORT", 9090, 1, 65_535),
            project=project,
            prestart=command("PRESTART", env.text("PRESTART")) if env.text("PRESTART") else project.prestart,
            ready_path=ready_path(env, project),
            ready_host=env.text("READY_HOST") or edge.known_host(),
            health_paths=health_paths(env, project),
            private_paths=private_paths(env, project),
            edge=edge,
            prove_path=_target("PROVE_PATH", env.text("PROVE_PATH", "/")),
            timeout=env.integer("TIMEOUT", 30, 4, 86_400),
            run_dir=run_dir,
            max_body_bytes=env.integer("MAX_BODY_BYTES", 1 << 20, 1, 1 << 30),  # the limit of nginx and of the app
            proxy_read_timeout=read_timeout(env),
            https=https,
            acme=AcmeSettings.from_environment(env, https=https.on),
            site=SiteSettings(below(edge.root_path, project.static), project.private_files, contacts(env)),
            log_query=env.flag("LOG_QUERY", False),
            lame_duck=env.seconds("LAME_DUCK_SECONDS", 0, 0, 3600),
            stop_grace_period=env.seconds("STOP_GRACE_PERIOD", 20, 1, 86_400),
            image=env.text("SLIPWAY_IMAGE"),
            request=os.environ.get("REQUEST", "").strip(),  # of `make logs`
            postgres_password=env.text("POSTGRES_PASSWORD"),
            redis_password=env.text("REDIS_PASSWORD"),
            variables=variables,
            overrides=overrides,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment with all settings, for a program that reads them there."""
        return {**os.environ, **self.variables}

    @property
    def inherited(self) -> dict[str, str]:
        """The environment without any setting, for a program whose settings come from a file."""
        return {name: value for name, value in os.environ.items() if name not in self.variables}

    @property
    def app(self) -> str:
        """The served app, as `module:callable`."""
        return self.project.app

    def listen(self, port: int) -> str:
        """Return the public address with a port for nginx's `listen`; `::` includes the IPv4 addresses."""
        both = " ipv6only=off" if ":" in self.host and address.is_any(self.host) else ""
        return f"{address.with_port(self.host, port)}{both}"

    @property
    def url(self) -> str:
        return address.url("http", self.host, self.http_port)

    @property
    def public_ports(self) -> dict[str, int]:
        """The public ports of the stack, by the name of their setting."""
        return {"HTTP_PORT": self.http_port, **({"HTTPS_PORT": self.https.port} if self.https.on else {})}

    @property
    def https_url(self) -> str:
        return address.url("https", self.host, self.https.port)

    @property
    def baseline_url(self) -> str:
        return address.url("http", self.host, self.baseline_port)


def _target(name: str, value: str) -> str:
    if not TARGET.fullmatch(value):
        raise SettingError(name, value, "a path such as /api/users, with a query or without")
    return value


def documented() -> set[str]:
    """Return the names of all settings, from `.env.example`; a test compares them with the code."""
    return set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

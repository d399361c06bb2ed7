"""The settings of the stack, from the environment and from `.env`; `.env.example` is the manual."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.environment import Environment, SettingError
from slipway.serving.config import read_timeout

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the verbs need to know."""

    runtime: str
    host: str
    http_port: int
    baseline: bool
    baseline_port: int
    locust_workers: int
    app: str
    run_dir: Path
    max_body_bytes: int
    proxy_read_timeout: int
    stop_grace_period: float
    variables: Mapping[str, str]  # all that are set
    given: Mapping[str, str]  # of them, what callers have set

    @classmethod
    def load(cls, remembered: Mapping[str, str] | None = None) -> "Settings":
        """Read and check; a variable of the environment beats the same in `.env`, and that beats a remembered one."""
        file = read_env_file(ROOT / ".env")
        given = {name: os.environ[name] for name in documented() | file.keys() if name in os.environ}
        before = remembered or {}
        return cls.of({**before, **file, **given}, {**before, **given})

    @classmethod
    def of(cls, variables: Mapping[str, str], given: Mapping[str, str]) -> "Settings":
        """Check the variables."""
        env = Environment(variables)
        return cls(
            runtime=env.choice("RUNTIME", "auto", ("auto", "docker", "local")),
            host=env.text("HOST", "127.0.0.1"),
            http_port=env.integer("HTTP_PORT", 8080, 1, 65_535),
            baseline=env.flag("BASELINE", False),
            baseline_port=env.integer("BASELINE_PORT", 8081, 1, 65_535),
            locust_workers=env.integer("LOCUST_WORKERS", 2, 1, 100),
            app=env.text("APP", "app.main:application"),
            run_dir=Path(env.text("RUN_DIR", str(ROOT / ".run"))).absolute(),
            max_body_bytes=env.integer("MAX_BODY_BYTES", 1 << 20, 1, 1 << 30),  # nginx's limit, and the app's
            proxy_read_timeout=read_timeout(env),
            stop_grace_period=env.seconds("STOP_GRACE_PERIOD", 20, 1, 86_400),
            variables=variables,
            given=given,
        )

    @property
    def environment(self) -> dict[str, str]:
        """For a program that gets them in its environment."""
        return {**os.environ, **self.variables}

    @property
    def url(self) -> str:
        return f"http://{_reachable(self.host)}:{self.http_port}"

    @property
    def baseline_url(self) -> str:
        return f"http://{_reachable(self.host)}:{self.baseline_port}"


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)


def documented() -> set[str]:
    """The names of all settings: `.env.example` lists them, and a test holds it to the code."""
    return set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def read_env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines as docker compose reads them; a line that is none is refused with its number."""
    variables: dict[str, str] = {}
    if not path.exists():
        return variables
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals or not name.strip().isidentifier():
            raise SettingError(f"{path.name} line {number}", line, "NAME=value or a comment")
        variables[name.strip()] = value.strip().strip("'\"")
    return variables

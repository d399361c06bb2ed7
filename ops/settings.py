"""The settings of the stack, from the environment and from `.env`; `.env.example` is the manual."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from environment import Environment, SettingError

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Settings:
    """What the verbs need to know."""

    runtime: str
    host: str
    http_port: int
    baseline: bool
    baseline_port: int
    app: str
    run_dir: Path
    environment: Mapping[str, str]

    @classmethod
    def load(cls) -> "Settings":
        """Read and check; a variable of the environment beats the same in `.env`."""
        variables = {**read_env_file(ROOT / ".env"), **os.environ}
        env = Environment(variables)
        return cls(
            runtime=env.choice("RUNTIME", "auto", ("auto", "docker", "local")),
            host=env.text("HOST", "127.0.0.1"),
            http_port=env.integer("HTTP_PORT", 8080, 1, 65_535),
            baseline=env.flag("BASELINE", False),
            baseline_port=env.integer("BASELINE_PORT", 8081, 1, 65_535),
            app=env.text("APP", "app.main:application"),
            run_dir=Path(env.text("RUN_DIR", str(ROOT / ".run"))).absolute(),
            environment=variables,
        )

    @property
    def url(self) -> str:
        return f"http://{_reachable(self.host)}:{self.http_port}"

    @property
    def baseline_url(self) -> str:
        return f"http://{_reachable(self.host)}:{self.baseline_port}"


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)


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

"""`docker` and `docker compose` for the project of this folder: their arguments, environment and results."""

import hashlib
import json
import re
import subprocess
from collections.abc import Sequence
from typing import Any

from slipway.ops import acme, backends
from slipway.ops.console import Failure
from slipway.ops.engine_reason import engine_reason
from slipway.ops.settings import ROOT, StackSettings

PROFILES = ("baseline", "locust", "migrate", acme.NAME, *backends.SERVICES)
FOR_ALL = ("down", "config", "logs")
LABEL = "com.docker.compose"  # prefix of compose's labels on each container
RUNNING = ("running", "restarting", "paused")
NO_PORT = "0"
Done = subprocess.CompletedProcess[str]


def engine_answers() -> bool:
    """Whether a Docker engine with compose can be used."""
    try:
        commands = (["docker", "info"], ["docker", "compose", "version"])
        return all(subprocess.run(command, capture_output=True, timeout=10).returncode == 0 for command in commands)
    except (OSError, subprocess.TimeoutExpired):
        return False


class Engine:
    """Runs commands; one that fails raises Failure with the engine's own reason."""

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings
        self.image = ""  # SLIPWAY_IMAGE for docker-compose.yml; empty: the project's name
        self.project = settings.environment.get("COMPOSE_PROJECT_NAME") or project_name()
        self.stores = backends.wanted(settings.environment)

    def compose(self, *arguments: str) -> str:
        """Run a compose command and return its output."""
        return _output(self.attempt(*arguments), f"docker compose {arguments[0]}")

    def attempt(self, *arguments: str, stdin: str = "") -> Done:
        """Run a compose command that may fail, with `stdin` as its input."""
        return _run(self.command(*arguments), self.environment(), stdin)

    def containers(
        self, service: str = "", *, running: bool = False, runs: bool = True, show: str = "{{.ID}}"
    ) -> list[str]:
        """Return a line for each container of the project, or of one service; the oldest last.

        `running` leaves out those that have ended, `runs=False` those made by `docker compose run`.
        `docker compose ps` would fail when another command removes a container that it has just listed.
        """
        labels = {"project": self.project, "service": service, "oneoff": "" if runs else "False"}
        filters = [f"label={LABEL}.{name}={value}" for name, value in labels.items() if value]
        filters += [f"status={state}" for state in RUNNING if running]
        options = [word for found in filters for word in ("--filter", found)]
        return self.docker("ps", "--all", "--no-trunc", "--format", show, *options).splitlines()

    def settings_hash(self, service: str) -> str:
        """Return the configuration hash that a new container of a service would get.

        `config --hash` alone ignores the variables of env_file, which a container's hash includes; so it gets the
        resolved configuration as its input.
        """
        done = self.attempt("-f", "-", "config", "--hash", service, stdin=json.dumps(self.configuration()))
        return _output(done, "docker compose config").split()[-1]

    def are_of(self, image: str, *containers: str) -> bool:
        """Whether all containers were created from the image that the name refers to now."""
        made_of = self.attempt_docker("inspect", "--format", "{{.Image}}", *containers).stdout.split()
        return {*made_of} == {*self.attempt_docker("image", "inspect", "--format", "{{.Id}}", image).stdout.split()}

    def configuration(self) -> Any:
        """Return the services that `up` starts, without their dependencies on others, which the hash leaves out."""
        found = json.loads(self.compose(*[f"--profile={name}" for name in self._wanted()], "config", "--format=json"))
        services = found["services"]
        for service in services.values():
            service["depends_on"] = {
                name: how for name, how in service.get("depends_on", {}).items() if name in services
            }
        return found

    def _wanted(self) -> list[str]:
        return [*self.stores, *(["baseline"] if self.settings.baseline else [])]

    def docker(self, *arguments: str) -> str:
        """Run a docker command and return its output."""
        return _output(self.attempt_docker(*arguments), f"docker {arguments[0]}")

    def attempt_docker(self, *arguments: str) -> Done:
        """Run a docker command that may fail."""
        return _run(["docker", *arguments], self.environment())

    def follow(self, *arguments: str) -> int:
        """Run a compose command in the terminal and return its exit code."""
        return subprocess.run(self.command(*arguments), env=self.environment(), cwd=ROOT).returncode

    def command(self, *arguments: str) -> list[str]:
        """Return the command line with the wanted profiles; the commands in FOR_ALL get all profiles."""
        wanted = self._wanted()
        profiles = [f"--profile={name}" for name in PROFILES if name in wanted or arguments[0] in FOR_ALL]
        return ["docker", "compose", *profiles, *arguments]

    def environment(self) -> dict[str, str]:
        """Return the environment, with the variables that docker-compose.yml uses."""
        found = {
            "COMPOSE_PROJECT_NAME": self.project,
            "SLIPWAY_IMAGE": self.image or self.project,
            "BASELINE_APP": self.settings.project.baseline,
            "RUN_DIR": str(self.settings.run_dir),
            "TLS_DIR": str(self.settings.https.folder),
            "HTTPS_PORT": published(self.settings),
            "READY_PATH": self.settings.ready_path or "none",
            "MIGRATED": "1",  # PRESTART is run by the verbs that need it, never by `docker compose up`
            **backends.environment(self.settings.environment),
            **acme.container_environment(self.settings.acme),
        }
        return {**self.settings.environment, **found}

    def check(self) -> None:
        """Raise Failure if no engine answers, or if another folder uses the project's name."""
        if not engine_answers():
            raise Failure("RUNTIME=docker, but no Docker engine with compose answers; start it, or use RUNTIME=local")
        folder = f'{{{{.Label "{LABEL}.project.working_dir"}}}}'
        others = {*self.containers(show=folder)} - {str(ROOT), ""}
        if others:
            raise Failure(
                f"the project {self.project} is {min(others)}'s on this engine; "
                "set COMPOSE_PROJECT_NAME to a name of its own here"
            )


def published(settings: StackSettings) -> str:
    """Return the HTTPS port; with HTTPS off, 0: any free port, behind which nothing listens."""
    return str(settings.https.port) if settings.https.on else NO_PORT


def project_name() -> str:
    """Return a name unique to this clone: the folder's name in compose's characters, and a digest of its path."""
    name = re.sub(r"[^a-z0-9_-]+", "-", ROOT.name.lower()).strip("-_") or "slipway"
    return f"{name}-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]}"


def _run(command: Sequence[str], environment: dict[str, str], stdin: str = "") -> Done:
    return subprocess.run(
        command, env=environment, cwd=ROOT, input=stdin, capture_output=True, text=True, errors="replace"
    )


def _output(done: Done, what: str) -> str:
    if done.returncode:
        raise Failure(f"`{what}` failed: {engine_reason(done.stderr) or f'exit code {done.returncode}'}")
    return done.stdout

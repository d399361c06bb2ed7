"""The Docker runtime: the same verbs over docker compose."""

import json
import os
import secrets
import subprocess
from contextlib import suppress

from ops import wait
from ops.report import Failure, say, step
from ops.settings import ROOT, Settings

READY_SECONDS = 55  # so that `up` fails within a minute of the images being there


def engine_answers() -> bool:
    """Whether a Docker engine with compose can be used."""
    try:
        commands = (["docker", "info"], ["docker", "compose", "version"])
        return all(subprocess.run(command, capture_output=True, timeout=10).returncode == 0 for command in commands)
    except (OSError, subprocess.TimeoutExpired):
        return False


class Compose:
    """The verbs of this runtime."""

    name = "containers"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def up(self) -> None:
        """Build, start what does not run yet and wait until it is ready; on failure stop it again."""
        if not engine_answers():
            raise Failure("RUNTIME=docker, but no Docker engine with compose answers; start it, or use RUNTIME=local")
        self._check_ports()
        with step("image"):
            self._compose("build", "--quiet", "app")
        with step("containers"):
            started = self._try("up", "--detach", "--wait", "--wait-timeout", str(READY_SECONDS), "--remove-orphans")
        urls = [self.settings.url, *([self.settings.baseline_url] if self.settings.baseline else [])]
        if started.returncode or not all(wait.until_ready(url, 10) for url in urls):
            reason = started.stderr.strip().rpartition("\n")[2] or "/readyz does not answer"
            log = self._try("logs", "--tail", "20", "--no-color", *self._not_healthy()).stdout
            self._try("down", "--remove-orphans")
            raise Failure(f"the containers did not become ready: {reason}\n{log}")

    def down(self) -> None:
        """Remove the containers and their networks; the named volumes, which hold the data, stay."""
        with step("stopping"):
            self._compose("down", "--remove-orphans")

    def status(self) -> None:
        rows = self._compose("ps", "--format", "{{.Service}}\t{{.Status}}").splitlines()
        if not rows:
            say("nothing runs; `make up` starts it")
            return
        for row in rows:
            say("  {:15} {}".format(*row.split("\t")))
        code, body = wait.get(f"{self.settings.url}/readyz")
        say(f"  {self.settings.url}/readyz: {code or body} {json.dumps(body) if code else ''}")

    def logs(self) -> None:
        """Follow all logs until interrupted."""
        with suppress(KeyboardInterrupt):
            subprocess.run(self._command("logs", "--follow", "--tail", "50"), env=self._environment(), cwd=ROOT)

    def reload(self) -> None:
        """Replace the workers in the running container; `make deploy` is for a new image."""
        done = self._try("exec", "-T", "app", "python", "-m", "serving.ctl", "reload")
        say(done.stdout.strip())
        if done.returncode:
            raise Failure(f"{done.stderr.strip()}; what served before still serves")

    def workers(self) -> int:
        code = "import glob, json; print(json.load(open(glob.glob('/run/slipway/*.json')[0]))['workers'])"
        return int(self._compose("exec", "-T", "app", "python", "-c", code))

    def _not_healthy(self) -> list[str]:
        rows = self._try("ps", "--all", "--format", "{{.Service}}\t{{.Status}}").stdout.splitlines()
        return [row.split("\t")[0] for row in rows if "(healthy)" not in row]

    def _check_ports(self) -> None:
        running = self._try("ps", "--services", "--status", "running").stdout.split()
        ports = {"nginx": ("HTTP_PORT", self.settings.http_port)}
        if self.settings.baseline:
            ports["baseline-nginx"] = ("BASELINE_PORT", self.settings.baseline_port)
        for service, (name, port) in ports.items():
            if service not in running and not wait.is_free(self.settings.host, port):
                raise Failure(
                    f"{name}={port} is in use on {self.settings.host} by another program; stop it or set {name}"
                )

    def _compose(self, *arguments: str) -> str:
        done = self._try(*arguments)
        if done.returncode:
            raise Failure(f"docker compose {' '.join(arguments)} failed:\n{done.stderr[-3_000:]}")
        return done.stdout

    def _try(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = self._command(*arguments)
        return subprocess.run(
            command, env=self._environment(), cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )

    def _command(self, *arguments: str) -> list[str]:
        profiles = ["--profile", "baseline"] if self.settings.baseline or arguments[0] == "down" else []
        return ["docker", "compose", *profiles, *arguments]

    def _environment(self) -> dict[str, str]:
        ours = {"POSTGRES_PASSWORD": self._password(), "COMMIT": _commit()}
        return {**os.environ, **ours, **self.settings.environment}

    def _password(self) -> str:
        """The database's password, made up at the first start and kept beside everything else that is written."""
        path = self.settings.run_dir / "postgres-password"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(0o600)
            path.write_text(secrets.token_urlsafe(24))
        return path.read_text()


def _commit() -> str:
    with suppress(OSError):
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.strip()
    return "unknown"

"""The Docker runtime: the same verbs over docker compose."""

import json
import math
import secrets
import subprocess
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn

from slipway.ops import readiness, wait
from slipway.ops.report import Failure, readable, say, step
from slipway.ops.settings import ROOT, Settings

ERASE_LINE = "\x1b[2K"  # compose begins each line of its logs with it, terminal or not
READY_SECONDS = 55  # so that `up` fails within a minute of the images being there
# A volume keeps the password that it was made with, which may be an earlier clone's: ours replaces it, by the
# unix socket, which PostgreSQL's image trusts. The data stay.
TAKE_PASSWORD = 'echo "ALTER USER slipway PASSWORD :\'it\'" | psql -q -v it="$POSTGRES_PASSWORD" -U slipway'


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
            start = ("up", "--detach", "--wait", "--wait-timeout", str(READY_SECONDS), "--remove-orphans")
            started = self._try(*start, "db")
            if not started.returncode:
                self._try("exec", "-T", "db", "sh", "-c", TAKE_PASSWORD)
                started = self._try(*start)
        urls = [self.settings.url, *([self.settings.baseline_url] if self.settings.baseline else [])]
        if started.returncode or not all(
            wait.until(partial(readiness.is_ready, self.settings, url), 10) for url in urls
        ):
            reason = started.stderr.strip().rpartition("\n")[2] or "/readyz does not answer"
            log = self._try("logs", "--tail", "20", "--no-color", *self._not_healthy()).stdout.replace(ERASE_LINE, "")
            self._try("down", "--remove-orphans")
            raise Failure(f"the containers did not become ready: {reason}\n{log}")

    def _is_ready(self) -> bool:
        urls = [self.settings.url, *([self.settings.baseline_url] if self.settings.baseline else [])]
        return all(wait.until(partial(readiness.is_ready, self.settings, url), 10) for url in urls)

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
        """Replace the workers in the running container; `make deploy` is for a new image or new settings."""
        if self._settings_differ():
            say("  settings have changed; a container keeps those it was made with: `make deploy` takes the new ones")
        done = self._try("exec", "-T", "app", "python", "-m", "slipway.serving.ctl", "reload")
        say(done.stdout.strip())
        if done.returncode:
            raise Failure(f"{done.stderr.strip()}; what served before still serves")

    def deploy(self) -> None:
        """Take a new image into service: the new container is healthy before the old one drains, else it is removed."""
        old = self._containers()
        if len(old) != 1:
            raise Failure(f"one app container must run, not {len(old)}; `make up` starts it")
        slots = self._slots()
        with step("image"):
            self._compose("build", "--quiet", "app")
        with step("new container"):
            self._try("up", "--detach", "--no-recreate", "--scale", "app=2", "app")
            new = [container for container in self._containers() if container not in old]
            if not new or not wait.until(lambda: self._health(new[0]) in ("healthy", "exited"), READY_SECONDS):
                self._give_up(new, "did not become healthy")
            if self._health(new[0]) != "healthy":
                self._give_up(new, "ended")
            self._docker("exec", new[0], "python", "-m", "slipway.serving.ctl", "publish")
        # nginx's links lead to the new container from now on; nginx needs to know only of another number of workers.
        if self._slots() != slots:
            self._reload_nginx()
        with step("old container drains"):
            self._docker("stop", "--time", str(self._stop_grace()), old[0])
            self._docker("rm", old[0])

    def migrate(self) -> None:
        if not self.settings.prestart:
            raise Failure("nothing to run: neither PRESTART nor prestart in [tool.slipway] names a command")
        say(self._compose("run", "--rm", "-T", "app", *self.settings.prestart).strip())

    def locust(self) -> None:
        """The load generator in containers, until it is done or interrupted; its failure is ours."""
        workers = ("locust-worker", self.settings.locust_workers)
        with step("image of locust"):
            self._compose("build", "--quiet", "locust-master")
        self._compose("up", "--detach", "--no-deps", "--scale={}={}".format(*workers), workers[0])
        command = self._command("run", "--rm", "--no-deps", "--service-ports", "--use-aliases", "locust-master")
        try:
            code = subprocess.run(command, env=self._environment(), cwd=ROOT).returncode
        finally:
            self._compose("rm", "--stop", "--force", workers[0])
        if code:
            raise Failure(f"locust ended with {code}")

    def workers(self) -> int:
        return int(self._instance()["workers"])

    # For `make prove`

    def serving(self) -> list[int]:
        return [int(pid) for pid in self._instance()["serving"]]

    def kill_worker(self) -> int:
        return int(self._compose("exec", "-T", "app", "python", "-m", "slipway.serving.ctl", "kill"))

    def stop_app(self) -> int:
        container = self._containers()[0]
        self._compose("stop", "app")
        return int(self._docker("inspect", "--format", "{{.State.ExitCode}}", container))

    def start_app(self) -> None:
        self._compose("start", "app")

    def restart_proxy(self) -> None:
        """Stop nginx and start it again."""
        self._compose("restart", "nginx")

    def stop_seconds(self) -> float:
        return self._stop_grace()

    def _instance(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads(
            self._compose("exec", "-T", "app", "python", "-m", "slipway.serving.ctl", "status")
        )
        return values

    def _containers(self) -> list[str]:
        return self._compose("ps", "--quiet", "app").split()

    def _settings_differ(self) -> bool:
        """Whether compose would make the container anew; a label says what it was made of."""
        label = '{{index .Config.Labels "com.docker.compose.config-hash"}}'
        made_of = {self._docker("inspect", "--format", label, container).strip() for container in self._containers()}
        return not made_of <= {*self._compose("config", "--hash", "app").split()}

    def _health(self, container: str) -> str:
        """What the health check says; "exited" of a container that does not run or starts again and again."""
        text = self._docker(
            "inspect", "--format", "{{.State.Status}} {{.RestartCount}} {{.State.Health.Status}}", container
        )
        state, restarts, health = text.split()
        return health if state == "running" and restarts == "0" else "exited"

    def _give_up(self, new: list[str], reason: str) -> NoReturn:
        log = "".join(self._docker("logs", "--tail", "20", container) for container in new)
        for container in new:
            self._docker("rm", "--force", container)
        lines = "\n".join(f"  app | {readable(line)}" for line in log.splitlines())
        raise Failure(f"the new container {reason}; the old one still serves. The end of the new one's log:\n{lines}")

    def _reload_nginx(self) -> None:
        """Have nginx read its configuration anew; what it has open goes on."""
        arguments = ("-p", "/tmp/nginx/", "-c", "/tmp/nginx/nginx.conf")
        self._compose("exec", "-T", "nginx", "nginx", *arguments, "-t", "-q")
        self._compose("exec", "-T", "nginx", "nginx", *arguments, "-s", "reload")

    def _slots(self) -> str:
        return self._compose("exec", "-T", "nginx", "cat", "/run/slipway/slots.conf")

    def _stop_grace(self) -> int:
        return math.ceil(self.settings.stop_grace_period)

    def _docker(self, *arguments: str) -> str:
        done = subprocess.run(["docker", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        return done.stdout + (done.stderr if arguments[0] == "logs" else "")

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
        wanted = {"baseline": self.settings.baseline, "locust": False}
        profiles = [f"--profile={name}" for name, on in wanted.items() if on or arguments[0] == "down"]
        return ["docker", "compose", *profiles, *arguments]

    def _environment(self) -> dict[str, str]:
        ours = {
            "POSTGRES_PASSWORD": self._password(),
            "COMMIT": _commit(),
            "BASELINE_APP": self.settings.project.baseline,
        }
        return {**ours, **self.settings.environment}

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

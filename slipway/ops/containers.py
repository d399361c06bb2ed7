"""The app's containers: which one is in service, whether one is ready, and why it is not."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from slipway.ops import wait
from slipway.ops.console import NOTHING_RUNS, Failure
from slipway.ops.engine import LABEL, Engine
from slipway.ops.failed_start import first_error
from slipway.ops.settings import ROOT

START_SECONDS = 25.0  # for the container and gunicorn, in addition to TIMEOUT for a worker's start
IMAGE_ROOT = Path("/srv")  # the project's folder in the image
FIRST_LINK = "/run/slipway/slot-0.sock"
# Prints each file of the image below that folder, with its SHA-256.
DIGESTS = """
import hashlib, json, pathlib
files = (path for path in pathlib.Path().rglob("*") if path.is_file() and "__pycache__" not in path.parts)
print(json.dumps({str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}))
"""


class AppContainers:
    """The app's containers of one project: one, or two during a deploy."""

    def __init__(self, engine: Engine, stop_seconds: int) -> None:
        self._engine = engine
        self._stop_seconds = stop_seconds

    def all(self, *, running: bool = False) -> list[str]:
        """Return their ids, oldest last, without those made by `docker compose run`."""
        return self._engine.containers("app", running=running, runs=False)

    def find_in_service(self) -> str | None:
        """Return the running container that nginx's links point to; if that is unknown, the oldest running one."""
        running = self.all(running=True)
        for container in running:
            link = self._engine.attempt_docker("exec", container, "readlink", FIRST_LINK).stdout.strip()
            led_to = [found for found in running if link and found.startswith(link.removesuffix("-0.sock"))]
            if led_to:
                return led_to[0]
        return running[-1] if running else None

    def in_service(self) -> str:
        """Return `find_in_service`; Failure with exit code 3 when no container runs."""
        found = self.find_in_service()
        if found is None:
            raise Failure("the stack does not run; `make up` starts it", NOTHING_RUNS)
        return found

    def status(self) -> dict[str, Any]:
        """Return the status of the server in service."""
        values: dict[str, Any] = json.loads(self.ctl(self.in_service(), "status"))
        return values

    def ctl(self, container: str, verb: str) -> str:
        """Run a verb of slipway.serving.ctl and return its output; Failure with its reason."""
        done = self._engine.attempt_docker("exec", container, "python", "-m", "slipway.serving.ctl", verb)
        if done.returncode:
            raise Failure(f"{done.stderr.strip()}; what served before still serves")
        return done.stdout.strip()

    def await_healthy(self, container: str, seconds: float) -> str:
        """Wait until a container is healthy; return the problem, empty if there is none."""
        if not wait.until(lambda: self._health(container) in ("healthy", "exited"), seconds):
            return "did not become healthy"
        return "" if self._health(container) == "healthy" else "ended"

    def reason(self, container: str) -> str:
        """Return why a container does not serve: the first error of its log, else the last health check's output."""
        logs = self._engine.attempt_docker("logs", container)
        checks = "{{range .State.Health.Log}}{{.Output}}\n{{end}}"
        said = self._engine.attempt_docker("inspect", "--format", checks, container).stdout.split("\n\n")[-1].strip()
        return first_error((logs.stdout + logs.stderr).splitlines(), IMAGE_ROOT) or said or "its log says nothing"

    def image(self, container: str) -> str:
        """Return the name of the image that a container was created from."""
        return self._engine.docker("inspect", "--format", "{{.Config.Image}}", container).strip()

    def is_current(self, container: str, image: str) -> bool:
        """Whether a container matches the image and the current settings."""
        return self._engine.are_of(image, container) and self.has_settings_of_now(container)

    def has_settings_of_now(self, container: str) -> bool:
        """Whether a container has the current settings: compares the configuration hash in its label."""
        made_of = f'{{{{index .Config.Labels "{LABEL}.config-hash"}}}}'
        before, self._engine.image = self._engine.image, self.image(container)
        try:
            now = self._engine.settings_hash("app")
        finally:
            self._engine.image = before
        return self._engine.docker("inspect", "--format", made_of, container).strip() == now

    def changed_files(self, container: str) -> list[str]:
        """Return the image's files that differ or are missing here, and modules here that the image lacks."""
        digests: dict[str, str] = json.loads(self._engine.docker("exec", container, "python", "-c", DIGESTS))
        changed = [name for name, digest in digests.items() if _digest(ROOT / name) != digest]
        folders = {Path(name).parent for name in digests}
        modules = {str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).glob("*.py")}
        return sorted({*changed, *(modules - digests.keys())})

    def stop(self, containers: Collection[str]) -> None:
        """Stop containers, which drain first, and remove them."""
        for container in containers:
            self._engine.attempt_docker("stop", "--time", str(self._stop_seconds), container)
            self.remove([container])

    def remove(self, containers: Collection[str]) -> None:
        """Remove containers at once, without draining."""
        for container in containers:
            self._engine.attempt_docker("rm", "--force", container)

    def _health(self, container: str) -> str:
        """Return the state of the health check; "exited" for a container that does not run or was restarted."""
        template = "{{.State.Status}} {{.RestartCount}} {{.State.Health.Status}}"
        found = self._engine.attempt_docker("inspect", "--format", template, container).stdout.split()
        return found[2] if found[:2] == ["running", "0"] else "exited"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""

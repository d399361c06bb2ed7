"""The stack in containers, started once by `make up` as a project of its own and removed with its volumes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway.ops import wait
from slipway.ops.engine import LABEL
from slipway.ops.settings import ROOT
from tests.app.contract.stacks import VARIABLES
from tests.harness.processes import free_ports, short_folder

VERB_SECONDS = 300  # the first build fetches the packages
ANY_CHARACTERS = "an'other@/:#%$ {}\"\\`!?é"
# One name per test process: a deploy removes older images of the same name.
IMAGE = "slipway-test-" + os.environ.get("PYTEST_XDIST_WORKER", "gw0")


class Containers:
    """`make` and `docker compose` for this project."""

    def __init__(self, folder: Path, root: Path = ROOT, image: str = IMAGE) -> None:
        self.root = root
        self.folder = folder
        self.port = free_ports()
        self.https_port = free_ports()
        self.url = f"http://127.0.0.1:{self.port}"
        self.project = f"slipway-test-{self.port}"
        self.env = {
            "SLIPWAY_IMAGE": image,
            **os.environ,
            "RUNTIME": "docker",
            "RUN_DIR": str(folder),
            "HTTP_PORT": str(self.port),
            "HTTPS_PORT": str(self.https_port),
            "COMPOSE_PROJECT_NAME": self.project,
            "WEB_CONCURRENCY": "2",
            "CLIENT_UPLOADS": "400",  # all clients of a test have one address
            **VARIABLES,
            "POSTGRES_PASSWORD": "only-for-this-test",
            "REDIS_PASSWORD": ANY_CHARACTERS,
        }

    def make(self, verb: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        return self._run(["make", f"PYTHON={sys.executable}", verb], settings)

    def interrupt(self, verb: str, stage: str, number: int, begun: Callable[[], bool] = lambda: True) -> None:
        """Start a verb and, once it has printed `stage` and `begun` is true, send a signal to its process group."""
        with subprocess.Popen(
            ["make", f"PYTHON={sys.executable}", verb],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            assert process.stdout
            said = b""
            while stage.encode() not in said and (more := os.read(process.stdout.fileno(), 1_000)):
                said += more
            assert wait.until(begun, 20)
            os.killpg(process.pid, number)
        assert stage.encode() in said

    def up(self, **settings: str) -> None:
        done = self.make("up", **settings)
        assert done.returncode == 0, done.stdout + done.stderr

    def other_nginx(self, dockerfile: str, folder: Path) -> tuple[str, str]:
        """Build an image; return its name and a COMPOSE_FILE with which nginx runs it."""
        image, override = f"{self.project}-nginx", folder / "override.yml"
        (folder / "Dockerfile").write_text(dockerfile)
        override.write_text(f"services: {{nginx: {{image: {image}}}}}\n")
        self.docker("build", "--quiet", "--tag", image, str(folder))
        return image, f"{ROOT}/docker-compose.yml:{override}"

    def compose(self, *arguments: str, **settings: str) -> str:
        done = self._run(["docker", "compose", *arguments], settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def docker(self, *arguments: str) -> str:
        done = self._run(["docker", *arguments], {})
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self, path: str) -> int:
        """Return the status that a client gets, 0 without an answer."""
        status, _ = wait.get(f"{self.url}{path}")
        return status

    def succeeds(self, *arguments: str) -> bool:
        """Return whether a compose command succeeds, for use in polls."""
        return self._run(["docker", "compose", *arguments], {}).returncode == 0

    def sql(self, statement: str, database: str = "slipway") -> str:
        """Return the output of psql."""
        command = ("psql", "-qAt", "-U", "slipway", "-v", "ON_ERROR_STOP=1", "-c", statement, database)
        return self.compose("exec", "-T", "db", *command).strip()

    def ids(self, service: str) -> list[str]:
        """Return the ids of a service's containers; `docker compose ps` may fail while another command removes one."""
        labels = {"project": self.project, "service": service, "oneoff": "False"}
        filters = [word for name, value in labels.items() for word in ("--filter", f"label={LABEL}.{name}={value}")]
        return self.docker("ps", "--all", "--quiet", "--no-trunc", *filters).split()

    def container(self, service: str = "app") -> str:
        return "\n".join(self.ids(service))

    def inspect(self, template: str, service: str = "app") -> str:
        return self.docker("inspect", "--format", template, self.container(service)).strip()

    def log(self, service: str) -> list[str]:
        done = self._run(["docker", "logs", self.container(service)], {})
        return (done.stdout + done.stderr).splitlines()

    def _run(self, command: list[str], settings: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        env = {**self.env, **settings}
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, timeout=VERB_SECONDS)


@pytest.fixture(scope="session")
def containers() -> Iterator[Containers]:
    """The running stack, one per test process; a test that stops a service starts it again."""
    with short_folder() as folder:
        stack = Containers(folder)
        stack.up()
        yield stack
        stack.compose("--profile", "baseline", "down", "--volumes", "--remove-orphans")

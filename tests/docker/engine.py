"""A Docker engine that a test may restart, with its own data, socket and network.

Its network is a namespace, since two engines in one would remove each other's rules.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from slipway.ops import wait
from tests.docker.conftest import Containers

ANSWER_SECONDS = 60.0
STOP_SECONDS = 60.0


# On real machines containerd is a separate service: it and the containers survive the engine's death.
CONTAINERD = """
version = 2
root = "{0}/containerd"
state = "{0}/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "{0}/c.sock"
"""


class Engine:
    """A dockerd and its containerd, with their files below a folder; it can be started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name = folder.name
        self.host = f"unix://{folder}/d.sock"
        self.inside = ["nsenter", f"--net=/run/netns/{self._name}"]
        subprocess.run(["ip", "netns", "add", self._name], check=True)
        subprocess.run([*self.inside, "ip", "link", "set", "lo", "up"], check=True)
        config = folder / "containerd.toml"
        config.write_text(CONTAINERD.format(folder))
        self._containerd = self._run("containerd", "--config", str(config))
        assert wait.until((folder / "c.sock").exists, ANSWER_SECONDS), self.log()

    def start(self) -> None:
        """Start it and wait until it answers."""
        folders = [f"--{name}={self._folder}/{name}" for name in ("data-root", "exec-root")]
        options = [*folders, f"--pidfile={self._folder}/d.pid", f"--containerd={self._folder}/c.sock"]
        self._process = self._run("dockerd", *options, f"--host={self.host}")
        assert wait.until(self._answers, ANSWER_SECONDS), self.log()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it with a signal: on SIGTERM it stops its containers, on SIGKILL they keep running until it is back."""
        self._process.send_signal(number)
        self._process.wait(STOP_SECONDS)

    def load(self, *images: str) -> None:
        """Copy images from the machine's engine."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            subprocess.run(["docker", "--host", self.host, "load", "--quiet"], stdin=saved.stdout, check=True)
        assert saved.returncode == 0

    def close(self) -> None:
        """Stop it, remove its network and unmount what it has mounted."""
        self.stop()
        self._containerd.terminate()
        self._containerd.wait(STOP_SECONDS)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self._folder}/")]):
            subprocess.run(["umount", "--lazy", mount], check=True)
        subprocess.run(["ip", "netns", "delete", self._name], check=True)

    def log(self) -> str:
        return (self._folder / "engine.log").read_text()[-2_000:]

    def _run(self, *command: str) -> "subprocess.Popen[bytes]":
        with (self._folder / "engine.log").open("ab") as log:
            return subprocess.Popen([*self.inside, *command], stdout=log, stderr=log)

    def _answers(self) -> bool:
        return subprocess.run(["docker", "--host", self.host, "info"], capture_output=True).returncode == 0


class EngineContainers(Containers):
    """The stack on such an engine; verbs and clients run in its network."""

    def __init__(self, folder: Path, engine: Engine, image: str) -> None:
        super().__init__(folder, image=image)
        self.env |= {"DOCKER_HOST": engine.host, "SLIPWAY_IMAGE": image}
        self._inside = engine.inside

    def status(self, path: str) -> int:
        code = "import sys; from slipway.ops import wait; print(wait.get(sys.argv[1])[0])"
        return int(self._run([sys.executable, "-c", code, f"{self.url}{path}"], {}).stdout)

    def _run(self, command: list[str], settings: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        return super()._run([*self._inside, *command], settings)


def is_possible() -> bool:
    """Return whether this machine lets a test start an engine."""
    return os.geteuid() == 0 and all(_has(program) for program in ("dockerd", "nsenter", "ip"))


def _has(program: str) -> bool:
    return subprocess.run(["sh", "-c", f"command -v {program}"], capture_output=True).returncode == 0

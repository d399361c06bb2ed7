"""What the parts of the process model need of the server in which they run; gunicorn's arbiter has it."""

from typing import Any, Protocol

from slipway.serving.check import Check
from slipway.serving.clock import RunningClock
from slipway.serving.crew import Forks
from slipway.serving.settings import ServerSettings


class ConfigurationChange(Protocol):
    """How a reload changes the configuration."""

    def checks(self, clock: RunningClock) -> list[Check]:
        """Read new settings; return what has to succeed before they are used."""

    def take(self) -> None:
        """Use the new configuration."""

    def restore(self) -> None:
        """Use the one from before."""

    def changed_packages(self) -> list[str]:
        """The packages that workers have from before the fork, and that have changed since."""

    def new_size(self) -> int | None:
        """How many workers the new configuration wants, None if it wants as many as the old one."""


class Host(Forks, Protocol):
    """The server."""

    settings: ServerSettings
    configuration: ConfigurationChange
    LISTENERS: list[Any]
    num_workers: int
    worker_age: int

    def kill_worker(self, pid: int, sig: int) -> None:
        """Send a signal to a worker."""

    def bind(self, path: str) -> Any:
        """A new listener on a unix socket."""

    def owns_files(self) -> bool:
        """Whether no other arbiter has the same listeners, as after SIGUSR2."""

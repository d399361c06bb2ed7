"""The server as the parts of the process model need it; gunicorn's arbiter implements this."""

from typing import Any, Protocol

from slipway.serving.check import Check
from slipway.serving.clock import RunningClock
from slipway.serving.crew import Forks
from slipway.serving.settings import ServerSettings


class ConfigurationChange(Protocol):
    """How a reload changes the configuration."""

    def checks(self, clock: RunningClock) -> list[Check]:
        """Read new settings; return the checks that must pass before they are used."""

    def take(self) -> None:
        """Use the new configuration."""

    def restore(self) -> None:
        """Use the previous configuration again."""

    def changed_packages(self) -> list[str]:
        """Return the packages that were loaded before the fork and have changed since."""

    def new_size(self) -> int | None:
        """Return the new configuration's number of workers; None if it has not changed."""


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
        """Return a new listener on a unix socket."""

    def owns_files(self) -> bool:
        """Whether no other arbiter has the same listeners, as after SIGUSR2."""

"""What the verbs ask of a runtime: local processes or containers."""

from typing import Protocol

from slipway.ops.settings import StackSettings
from slipway.ops.trials import Trials


class Runtime(Protocol):
    """One way to run the stack. A verb that can't do what it promises raises Failure with the reason."""

    name: str
    settings: StackSettings

    @property
    def trials(self) -> Trials:
        """What `make prove` does to it."""

    def up(self) -> None:
        """Start what does not run and wait until it is ready."""

    def down(self) -> None:
        """Stop everything; data stay."""

    def status(self) -> None:
        """Print what runs; Failure with exit code 3 when nothing does, with 1 when a part does not or is not ready."""

    def logs(self) -> None:
        """Follow all logs until interrupted."""

    def reload(self) -> None:
        """Take new code and settings into service with nothing lost."""

    def deploy(self) -> None:
        """Take a new release into service: a new server beside the old one, which then drains."""

    def rollback(self) -> None:
        """Return to the release before, as a deploy does."""

    def migrate(self) -> None:
        """Run PRESTART alone."""

    def locust(self) -> None:
        """Run the load generator until it is done or interrupted."""

    def ask(self, verb: str) -> str:
        """What a verb of slipway.serving.ctl prints, run where the server is."""

    def metrics_targets(self) -> list[str]:
        """Addresses and ports at which Prometheus finds the metrics now."""

    def workers(self) -> int:
        """The number of workers that the server was started with."""

"""The interface of a runtime, local processes or containers, for the verbs."""

from typing import Protocol

from slipway.ops.settings import StackSettings
from slipway.ops.trials import Trials


class Runtime(Protocol):
    """One way to run the stack. A verb that fails raises Failure with the reason."""

    name: str
    settings: StackSettings

    @property
    def trials(self) -> Trials:
        """The operations of `make prove`."""

    def up(self) -> None:
        """Start the missing parts and wait until the stack is ready."""

    def down(self) -> None:
        """Stop everything; the data stay."""

    def status(self) -> None:
        """Print what runs; raise Failure with exit code 3 if nothing does, with 1 if a part is stopped or not ready."""

    def logs(self) -> None:
        """Follow all logs until interrupted."""

    def reload(self) -> None:
        """Put new code and settings into service without losing a request."""

    def deploy(self) -> None:
        """Put a new release into service: start a new server beside the old one, which then drains."""

    def rollback(self) -> None:
        """Return to the previous release by a deploy."""

    def migrate(self) -> None:
        """Run PRESTART alone."""

    def locust(self) -> None:
        """Run the load generator until it is done or interrupted."""

    def ask(self, verb: str) -> str:
        """Run a verb of slipway.serving.ctl where the server runs, and return its output."""

    def metrics_targets(self) -> list[str]:
        """Return the current addresses and ports of the metrics, for Prometheus."""

    def workers(self) -> int:
        """Return the number of workers that the server was started with."""

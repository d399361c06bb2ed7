"""PRESTART in containers: runs once, in its own container, before the containers of the new version start.

A restarted container does not run it again, so a container of the previous version may find a newer schema.
"""

import shlex

from slipway.ops.console import Failure, step
from slipway.ops.containers import IMAGE_ROOT
from slipway.ops.engine import Engine
from slipway.ops.failed_start import first_error
from slipway.ops.settings import StackSettings
from slipway.tracebacks import has_traceback, one_line

RUN = ("run", "--rm", "-T", "--no-deps", "migrate")


class Migration:
    """One run of PRESTART, with the image that the engine is set to."""

    def __init__(self, engine: Engine, settings: StackSettings) -> None:
        self._engine = engine
        self._settings = settings

    def run(self, otherwise: str = "") -> None:
        """Run PRESTART to its end; raise Failure with the reason that it printed and `otherwise` if it fails."""
        if not self._settings.prestart:
            return
        with step("PRESTART"):
            self._end_interrupted()
            done = self._engine.attempt(*RUN)
        if done.returncode:
            said = _reason(done.stderr + done.stdout)
            raise Failure(f"PRESTART={shlex.join(self._settings.prestart)!r} failed: {said}{otherwise}")

    def _end_interrupted(self) -> None:
        """End a run that outlived its killed verb: two must not run at once."""
        for container in self._engine.containers("migrate"):
            self._engine.attempt_docker("stop", container)
            self._engine.attempt_docker("rm", "--force", container)


def _reason(text: str) -> str:
    if has_traceback(text):
        return one_line(text, IMAGE_ROOT)
    return first_error(text.splitlines(), IMAGE_ROOT) or "it says nothing"

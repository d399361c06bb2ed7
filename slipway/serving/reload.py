"""A reload in steps: check new code and settings in a process of their own, then replace the workers one at a time.

At the first failure the workers that serve go on serving, with the configuration that they have. `Reload.step` is
called by the arbiter's loop, many times a second, and never waits.
"""

import sys
import time
from typing import TYPE_CHECKING, Any

from gunicorn.config import Config

from slipway.serving.check import Check
from slipway.serving.config import Settings
from slipway.serving.variables import check_change, variables

if TYPE_CHECKING:
    from slipway.serving.arbiter import Arbiter


class Reload:
    """One reload, from SIGHUP to done or refused."""

    def __init__(self, arbiter: "Arbiter") -> None:
        self._arbiter = arbiter
        self._old = (arbiter.cfg, arbiter.settings, variables.taken)
        self._started_at = time.monotonic()
        self.number = arbiter.reloads
        self._variables: dict[str, str] | None = None
        self._checks: list[Check] = []
        self._taken = False
        self._newest_age = arbiter.worker_age  # workers with a higher one have the new code
        self._waiting: list[Any] = []  # old workers that are still to be replaced
        self._successor: Any = None
        arbiter.status.reloaded(self.number, "running")

    def step(self) -> None:
        """Go as far as possible without waiting."""
        if self._variables is None:
            self._read_settings()
        elif self._checks:
            self._check(self._checks[0])
        elif not self._taken:
            self._take_configuration()
        elif self._successor is not None:
            self._watch_successor()
        elif self._waiting:
            self._replace(self._waiting[0])
        elif not any(worker.retired_at for worker in self._arbiter.WORKERS.values()):
            self._end("done")

    def abandon(self) -> None:
        """The arbiter stops."""
        for check in self._checks:
            check.kill()

    def _read_settings(self) -> None:
        """Refuse wrong ones, and what can't change in place; then check the rest as a start would, beside us."""
        arbiter = self._arbiter
        try:
            self._variables = variables.read()
            environment = variables.environment(self._variables)
            settings = Settings.from_environment(environment)
            check_change(arbiter.settings, settings)
        except SystemExit as error:
            self._refuse(str(error))
            return
        context = arbiter.START_CTX
        self._checks = [
            Check([*context["args"], "--check-config"], context["cwd"], environment, arbiter.timeout),
            Check(prestart_command(settings), None, environment, arbiter.timeout),
        ]

    def _check(self, check: Check) -> None:
        failure = check.failure()
        if failure:
            self._refuse(failure)
        elif failure is not None:
            self._checks.pop(0)

    def _take_configuration(self) -> None:
        """Read the configuration anew. What the listeners depend on can't change under them."""
        arbiter = self._arbiter
        try:
            arbiter.app.reload()
            settings = arbiter.settings.with_options(arbiter.app.cfg)
        except (Exception, SystemExit) as error:  # it was right a moment ago; the file has changed since
            self._refuse(f"the configuration can't be read: {error}")
            return
        if arbiter.app.cfg.address != arbiter.cfg.address:
            new = _addresses(arbiter.app.cfg)
            self._refuse(f"the addresses differ from those in use ({new}); this needs a restart")
            return
        self._set_up()
        arbiter.adopt(settings)
        arbiter.log.reopen_files()
        arbiter.cfg.on_reload(arbiter)
        self._taken = True
        self._newest_age = arbiter.worker_age
        self._waiting = [worker for worker in arbiter.WORKERS.values() if worker.retired_at is None]
        self._waiting.sort(key=lambda worker: worker.age)

    def _set_up(self) -> None:
        workers = self._arbiter.num_workers  # what SIGTTIN and SIGTTOU have made of it stays
        self._arbiter.setup(self._arbiter.app)
        self._arbiter.num_workers = workers

    def _replace(self, worker: Any) -> None:
        if worker.pid not in self._arbiter.WORKERS or worker.retired_at is not None:
            self._waiting.pop(0)  # it has ended meanwhile, and what took its place runs the new code
        elif not self._arbiter.has_successor(worker):
            pid = self._arbiter.start_successor(worker)
            self._successor = self._arbiter.WORKERS.get(pid)

    def _watch_successor(self) -> None:
        successor = self._successor
        if successor.ready_at is not None:
            self._waiting.pop(0)
            self._successor = None
        elif successor.pid not in self._arbiter.WORKERS:
            hung = f"not ready after {self._arbiter.timeout} s"
            reason = successor.reason or (hung if successor.aborted_at else "the new worker died in its startup")
            self._refuse(reason + self._half_way())

    def _half_way(self) -> str:
        """What whoever mends it should know: the workers that were replaced already stay."""
        workers = [worker for worker in self._arbiter.WORKERS.values() if worker.retired_at is None]
        new = sum(worker.age > self._newest_age and worker.ready_at is not None for worker in workers)
        return f"; {new} of {len(workers)} workers run the new code already: mend it and reload again" if new else ""

    def _refuse(self, reason: str) -> None:
        self._arbiter.log.error("Reload refused: %s", reason)
        self.abandon()
        self._arbiter.app.cfg, settings, taken = self._old
        variables.take(taken)
        variables.refuse(self._variables)
        self._set_up()
        self._arbiter.adopt(settings)
        self._end("refused", reason)

    def _end(self, state: str, reason: str = "") -> None:
        seconds = time.monotonic() - self._started_at
        self._arbiter.log.info("Reload %d %s after %.1f s", self.number, state, seconds)
        self._arbiter.status.reloaded(self.number, state, reason)
        self._arbiter.reload_ended()


def prestart_command(settings: Settings) -> list[str]:
    """What runs once before workers of new code start; `python` means the interpreter that runs gunicorn."""
    command = list(settings.prestart)
    return [sys.executable, *command[1:]] if command[:1] == ["python"] else command


def _addresses(config: Config) -> str:
    return ", ".join(map(str, config.address))

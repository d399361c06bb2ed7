"""A reload in steps: check the new code in a process of its own, then replace the workers one at a time.

At the first failure the workers that serve go on serving. `Reload.step` is called by the arbiter's loop, many times a
second, and never waits.
"""

import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from gunicorn.config import Config

from serving.config import Settings

if TYPE_CHECKING:
    from serving.arbiter import Arbiter


class Reload:
    """One reload, from SIGHUP to done or refused."""

    def __init__(self, arbiter: "Arbiter") -> None:
        self._arbiter = arbiter
        self.number = arbiter.reloads
        self._checks = [[*arbiter.START_CTX["args"], "--check-config"], prestart_command(arbiter.settings)]
        self._checking: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the reload)
        self._deadline = time.monotonic() + arbiter.timeout if arbiter.timeout else float("inf")
        self._checked = False
        self._waiting: list[Any] = []  # old workers that are still to be replaced
        self._successor: Any = None
        arbiter.status.reloaded(self.number, "running")

    def step(self) -> None:
        """Go as far as possible without waiting."""
        if not self._checked:
            self._check()
        elif self._successor is not None:
            self._watch_successor()
        elif self._waiting:
            self._replace(self._waiting[0])
        elif not any(worker.retired_at for worker in self._arbiter.WORKERS.values()):
            self._end("done")

    def _check(self) -> None:
        if self._checking is None:
            if not self._checks:
                self._take_configuration()
                return
            command = self._checks.pop(0)
            if command:
                self._checking = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output
                )
            return
        code = self._checking.poll()
        if code is None and time.monotonic() < self._deadline:
            return
        if code != 0:
            self._checking.kill()
            self._checking.wait()
            self._refuse(f"{self._last_line()} (exit code {code})" if code else "the check of the new code hangs")
        self._checking = None

    def _take_configuration(self) -> None:
        """Read the configuration anew. What the listeners depend on can't change under them."""
        arbiter = self._arbiter
        app, old = arbiter.app, arbiter.cfg
        app.reload()
        if app.cfg.address != old.address:
            app.cfg = old
            self._refuse(f"the addresses differ from those in use ({_addresses(app.cfg)}); this needs a restart")
            return
        workers = arbiter.num_workers  # what SIGTTIN and SIGTTOU have made of it stays
        arbiter.setup(app)
        arbiter.num_workers = workers
        arbiter.log.reopen_files()
        arbiter.cfg.on_reload(arbiter)
        self._checked = True
        self._waiting = [worker for worker in arbiter.WORKERS.values() if worker.retired_at is None]
        self._waiting.sort(key=lambda worker: worker.age)

    def _replace(self, worker: Any) -> None:
        if worker.pid not in self._arbiter.WORKERS or worker.retired_at is not None:
            self._waiting.pop(0)  # it has ended meanwhile, and what took its place runs the new code
            return
        pid = self._arbiter.start_successor(worker)
        self._successor = self._arbiter.WORKERS.get(pid)

    def _watch_successor(self) -> None:
        if self._successor.ready:
            self._waiting.pop(0)
            self._successor = None
        elif self._successor.pid not in self._arbiter.WORKERS:
            self._refuse("a worker with the new code did not become ready; its own lines in the log say why")

    def _refuse(self, reason: str) -> None:
        self._arbiter.log.error("Reload refused: %s", reason)
        self._end("refused", reason)

    def _end(self, state: str, reason: str = "") -> None:
        if state == "done":
            self._arbiter.log.info("Reload %d done", self.number)
        self._arbiter.status.reloaded(self.number, state, reason)
        self._arbiter.reloading = None

    def _last_line(self) -> str:
        self._output.seek(0)
        lines = [line for line in self._output.read().decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "the check of the new code says nothing"


def prestart_command(settings: Settings) -> list[str]:
    """What runs once before workers of new code start; `python` means the interpreter that runs gunicorn."""
    command = list(settings.prestart)
    return [sys.executable, *command[1:]] if command[:1] == ["python"] else command


def _addresses(config: Config) -> str:
    return ", ".join(map(str, config.address))

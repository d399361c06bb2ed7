"""`make dev`: nginx as in the stack, and behind it one process that is restarted whenever a file changes.

The listener stays open across restarts, so requests wait while the app starts. The app's process has the terminal:
its log is readable text, and breakpoints work.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from slipway.ops import certificate, changes, nginx, packages, setup, wait
from slipway.ops.app_process import AppProcess, stop
from slipway.ops.certificate import openssl
from slipway.ops.console import Failure, say
from slipway.ops.failed_start import next_step
from slipway.ops.programs import Programs
from slipway.ops.settings import ROOT, StackSettings
from slipway.serving import slot_lists
from slipway.serving.settings import STATUS_SOCKET
from slipway.tracebacks import one_line

REQUIREMENTS = "requirements/local.txt"
POLL_SECONDS = 0.2
NGINX_SECONDS = 10.0
BACKLOG = 2048
SLOT = "slot-0.sock"


class Development:
    """The development server of one folder."""

    def __init__(self, settings: StackSettings) -> None:
        self._settings = settings
        self._run = settings.run_dir / "dev"
        self._programs = Programs(self._run, 0)
        self._app = AppProcess()

    def run(self) -> None:
        """Serve until Ctrl-C."""
        if problem := wait.obstacle(self._settings.host, self._settings.http_port):
            name = f"HTTP_PORT={self._settings.http_port} on {self._settings.host}"
            raise Failure(f"{name} {problem}\n  `make down` stops a stack of this folder; HTTP_PORT=8090 make dev")
        self._venv = setup.environment(self._settings.run_dir, REQUIREMENTS)
        packages.install(packages.nginx())
        if self._settings.https.on:
            certificate.ensure(self._settings.https.folder, openssl)
        with ExitStack() as opened:
            self._listener = opened.enter_context(self._listen())
            opened.callback(self._app.end)
            self._start_proxy(opened)
            self._follow()

    def _listen(self) -> socket.socket:
        folder = self._programs.sockets("app")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._settings.run_dir / "data").mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / SLOT
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        path.chmod(0o660)
        listener.listen(BACKLOG)
        slot_lists.write(folder, [f"unix:{path}"])
        return listener

    def _start_proxy(self, opened: ExitStack) -> None:
        """Start nginx, with its log in a file: the terminal has the app's record of each request."""
        sockets = [self._programs.sockets("app") / STATUS_SOCKET]
        command = nginx.logged(self._programs.nginx("nginx", self._settings), sockets=sockets)
        path = self._run / "nginx.log"
        log = opened.enter_context(path.open("wb"))
        proxy = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        opened.callback(stop, proxy, signal.SIGTERM)
        host, port = self._settings.host, self._settings.http_port
        if not wait.until(lambda: proxy.poll() is not None or not wait.is_free(host, port), NGINX_SECONDS):
            raise Failure(f"nginx does not start; its log is {path}")
        if proxy.poll() is not None:
            raise Failure(f"nginx does not start: {path.read_text().strip()[-500:]}")

    def _follow(self) -> None:
        """Start the app, and restart it after each change; one that failed or ended starts again at the next change."""
        seen = self._times()
        what: list[str] = []
        while True:
            self._begin(what)
            while not (what := changes.changed(seen, now := self._times())):
                self._hear()
                time.sleep(POLL_SECONDS)
            seen = now
            if any(Path(path).name == ".env" for path in what):
                self._take_settings()
            self._app.end()

    def _times(self) -> changes.Times:
        return changes.times(ROOT, {self._settings.run_dir, Path(self._settings.variables.get("DATA_DIR") or "/")})

    def _take_settings(self) -> None:
        try:
            self._settings = StackSettings.load()
        except Failure as failure:
            say(f"{failure}; the settings of before hold")

    def _begin(self, what: list[str]) -> None:
        """Start the process; the first time and after a change of migrations, run PRESTART before it."""
        shown = [os.path.relpath(path, ROOT) for path in what]
        if shown:
            say(f"  {', '.join(shown[:3])}{f' and {len(shown) - 3} more' if len(shown) > 3 else ''} changed")
        environment = self._environment()
        if (not what or any("migrations" in Path(path).parts for path in what)) and not self._prepare(environment):
            return
        self._begun = time.monotonic()
        self._app.begin(self._venv / "python", environment, self._listener.fileno())

    def _environment(self) -> Mapping[str, str]:
        defaults = {"LOG_FORMAT": "console", "PYTHONDONTWRITEBYTECODE": "1"}
        ours = {"WEB_CONCURRENCY": "1", "WORKER_COUNT": "1", "WORKER_SLOT": "0", "INSTANCE": "dev"}
        environment = self._programs.environment("app", self._settings, self._venv)
        data = self._settings.environment.get("DATA_DIR") or str(self._settings.run_dir / "data")
        return {**defaults, **environment, **ours, "DATA_DIR": data}

    def _prepare(self, environment: Mapping[str, str]) -> bool:
        """Run PRESTART; return whether it succeeded."""
        if not self._settings.prestart:
            return True
        done = subprocess.run(
            self._settings.prestart, cwd=ROOT, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        if done.returncode:
            self._complain(one_line(done.stdout + done.stderr, ROOT) or f"PRESTART ended with {done.returncode}")
        return not done.returncode

    def _hear(self) -> None:
        """Print the process's report, if it has arrived."""
        if (text := self._app.report()) is None:
            return
        if text == "ready":
            say(f"  {self._settings.url} after {time.monotonic() - self._begun:.1f} s; Ctrl-C ends it")
        else:
            self._complain(text or "its process has ended and says nothing")

    def _complain(self, reason: str) -> None:
        step_ = next_step(reason, self._settings.app).replace("then type the same again", "then it starts by itself")
        say(f"  {self._settings.app} does not start: {reason}\n  {step_}")

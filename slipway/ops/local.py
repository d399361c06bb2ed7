"""The local runtime: gunicorn and nginx as processes under supervisor; all files are written below one folder."""

import math
import shutil

from slipway.environment import SettingError
from slipway.ops import certificate, leftovers, local_commands, local_view, packages, setup
from slipway.ops.certificate import openssl
from slipway.ops.console import Failure, step
from slipway.ops.folder import check_folder
from slipway.ops.local_processes import LocalProcesses
from slipway.ops.programs import APPS, METRICS_PORT, NGINX_STOP_SECONDS
from slipway.ops.remembered import Remembered
from slipway.ops.renewals import Renewal
from slipway.ops.settings import ROOT, StackSettings
from slipway.ops.supervisor import Supervisor
from slipway.ops.trials import LocalTrials

REQUIREMENTS = "requirements/local.txt"


class Local:
    """The verbs of this runtime."""

    name = "local processes"

    def __init__(self, settings: StackSettings, *, lenient: bool = False) -> None:
        self.settings = settings
        if Supervisor(settings.run_dir, ROOT).runs():
            self.settings = (
                _running_settings(settings) if lenient else StackSettings.load(Remembered(settings.run_dir).overrides())
            )
        self.run = self.settings.run_dir
        self.processes = LocalProcesses(self.settings, math.ceil(self.settings.stop_grace_period))
        self.supervisor = self.processes.supervisor
        self.remembered = self.processes.remembered
        self.renewal = Renewal(self.supervisor, self.processes.programs, self.settings)
        self.trials = LocalTrials(self.processes)

    def runs(self) -> bool:
        """Whether supervisor runs."""
        return self.supervisor.runs()

    def up(self) -> None:
        """Start missing programs and wait until the stack is ready; on failure stop those just started.

        A running server is replaced without losing requests if its settings or packages have changed.
        """
        check_folder(self.run)
        self.processes.end_leftovers()
        app_runs = self.processes.app_serves()
        if app_runs and self._has_changed():
            self.deploy()
        venv = setup.environment(self.run, REQUIREMENTS)
        packages.install({**packages.nginx(), "openssl": "openssl"})
        self.renewal.check()
        if not app_runs:
            self.processes.remove_servers()
        alive = self.processes.alive()
        wanted = [*([] if app_runs else APPS[:1]), "nginx"]
        wanted += ["baseline", "baseline-nginx"] if self.settings.baseline else []
        missing = [name for name in wanted if name not in alive]
        self.processes.check_ports(missing)
        self._check_certificate()
        try:
            self.processes.start(missing, venv)
        except BaseException:
            self.processes.undo(missing)
            raise
        self.remembered.remember(self.settings)
        self.renewal.follow()

    def down(self) -> None:
        """Stop everything, including the processes of a killed supervisor, and remove the runtime files."""
        if self.supervisor.runs():
            with step("stopping"):
                if self.settings.lame_duck:  # nginx must pass on the ready path's answer until the app has ended
                    self.processes.stop_servers()
                if not self.supervisor.shutdown(NGINX_STOP_SECONDS + self.processes.stop_seconds + 15):
                    raise Failure(f"supervisor does not end; its log is {self.run}/log/supervisord.log")
        self.processes.end_leftovers()
        for name in ("app", "baseline", "nginx", "baseline-nginx", "programs"):
            shutil.rmtree(self.run / name, ignore_errors=True)
        self.remembered.forget()

    def status(self) -> None:
        """Print each program and the answer of the ready path; Failure when a part does not run or is not ready."""
        local_view.status(self.processes)

    def logs(self) -> None:
        """Follow all logs until interrupted."""
        local_view.logs(self.processes)

    def reload(self) -> None:
        """Take new code and settings into service without losing requests; on Failure the old ones keep serving."""
        app = self.processes.in_service()
        self.remembered.check_change(self.settings, app.name)
        self._check_certificate()
        if not setup.is_current(self.run, REQUIREMENTS):
            raise Failure(f"{REQUIREMENTS} has changed; `make deploy` takes new packages with nothing lost")
        self.remembered.put(self.settings, app.name)
        app.ctl("reload")
        self.remembered.remember(self.settings)
        self.processes.refresh_nginx()
        self.renewal.follow()

    def deploy(self) -> None:
        """Start a second server with the current packages, code and settings; when it is ready the first one drains."""
        old = self.processes.in_service()
        self.remembered.check_change(self.settings, old.name, deploy=True)
        self._check_certificate()
        self.processes.remove_servers(but=old.name)
        venv = setup.environment(self.run, REQUIREMENTS, beside=True)
        name = next(name for name in APPS if name != old.name)
        try:
            with step("new server"):
                new = self.processes.start_server(name, venv)
                new.ctl("publish", quiet=True)
        except BaseException:
            self.processes.keep(old, instead_of=name)
            raise
        setup.put_into_service(self.run, venv, leftovers.commands(self.run))
        self.remembered.remember(self.settings)
        self.processes.refresh_nginx()
        self.renewal.follow()
        with step("old server drains"):
            self.processes.remove_servers(but=name)

    def rollback(self) -> None:
        """Raise Failure: local processes have no images to return to."""
        raise Failure("local processes run the code that lies here: check the commit before out, then `make deploy`")

    def migrate(self) -> None:
        """Run PRESTART alone."""
        local_commands.migrate(self.processes.programs, self.settings, REQUIREMENTS)

    def locust(self) -> None:
        """Run the load generator on the stack until it is done or interrupted."""
        local_commands.locust(self.processes.programs, self.settings, "requirements/loadtest.txt")

    def ask(self, verb: str) -> str:
        """Return the output of a verb of slipway.serving.ctl for the server in service."""
        app = self.processes.in_service()
        return app.metrics() if verb == "metrics" else app.ctl(verb, quiet=True)

    def metrics_targets(self) -> list[str]:
        """Return the address to scrape metrics from."""
        return [f"127.0.0.1:{self.settings.environment.get('METRICS_PORT') or METRICS_PORT}"]

    def workers(self) -> int:
        """Return the number of workers that the server was started with."""
        return int(self.processes.in_service().status()["workers"])

    def _check_certificate(self) -> None:
        if self.settings.https.on:
            certificate.ensure(self.settings.https.folder, openssl)

    def _has_changed(self) -> bool:
        """Whether settings or packages differ from those that the server runs with."""
        app = self.processes.in_service()
        return not setup.is_current(self.run, REQUIREMENTS) or self.remembered.differs(self.settings, app.name)


def _running_settings(settings: StackSettings) -> StackSettings:
    """Return the running stack's settings, for a verb that inspects or stops it: `.env` may have changed since."""
    processes = LocalProcesses(settings, math.ceil(settings.stop_grace_period))
    try:
        return processes.remembered.settings_of(processes.in_service().name, settings.run_dir)
    except (Failure, SettingError):  # no app server runs, or pyproject.toml can't be read
        return settings

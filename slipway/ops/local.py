"""The local runtime: gunicorn and nginx as processes under supervisor, everything written below one folder."""

import json
import math
import os
import resource
import shlex
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

from slipway.ops import nginx, setup, wait
from slipway.ops.inforce import InForce
from slipway.ops.report import Failure, readable, say, step
from slipway.ops.settings import ROOT, Settings

READY_SECONDS = 50.0  # so that `up` fails within a minute
PROGRAMS = {False: ("app", "nginx"), True: ("app", "nginx", "baseline", "baseline-nginx")}


class Local:
    """The verbs of this runtime."""

    name = "local processes"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.run = settings.run_dir
        self.venv = self.run / "venv" / "bin"
        self.sockets = self.run / "app"
        self.in_force = InForce(self.run)

    def up(self) -> None:
        """Start what does not run yet and wait until it is ready; on failure stop it again."""
        setup.environment(self.run, "requirements/local.txt")
        setup.system_packages({"nginx": "nginx"})
        running = self._running()
        missing = [name for name in PROGRAMS[self.settings.baseline] if name not in running]
        if "app" in running:
            self.in_force.check_change(self.settings)
        self._check_ports(missing)
        try:
            self._start(missing)
        except Failure:
            self.down()
            raise
        self.in_force.remember(self.settings)

    def down(self) -> None:
        """Stop everything, and see that nothing is left."""
        pid = _pid(self.run / "supervisord.pid")
        if pid is None:
            return
        with step("stopping"):
            os.kill(pid, signal.SIGTERM)
            if not wait.until(lambda: not _alive(pid), self.stop_seconds() + 15):
                raise Failure(f"supervisor (pid {pid}) does not end; its log is {self.run}/log/supervisord.log")
        for folder in (self.sockets, self.run / "baseline", self.run / "nginx", self.run / "baseline-nginx"):
            shutil.rmtree(folder, ignore_errors=True)
        (self.run / "supervisor.sock").unlink(missing_ok=True)
        self.in_force.forget()

    def runs(self) -> bool:
        return _pid(self.run / "supervisord.pid") is not None

    def status(self) -> None:
        running = self._running()
        if not running:
            say("nothing runs; `make up` starts it")
            return
        for name, state in running.items():
            say(f"  {name:15} {state}")
        code, body = wait.get(f"{self.settings.url}/readyz")
        say(f"  {self.settings.url}/readyz: {code or body} {json.dumps(body) if code else ''}")

    def logs(self) -> None:
        """Follow all logs until interrupted."""
        with suppress(KeyboardInterrupt):
            subprocess.run(["tail", "-n", "50", "-F", *map(str, sorted((self.run / "log").glob("*.log")))])

    def reload(self) -> None:
        """New code and settings in service with nothing lost, or a Failure with the reason and the old ones serving."""
        self._running_or_fail()
        self.in_force.check_change(self.settings)
        setup.environment(self.run, "requirements/local.txt")
        self.in_force.put(self.settings)
        self._serving_ctl("reload")
        self.in_force.remember(self.settings)
        self._reload_nginx()

    def deploy(self) -> None:
        """Without images, new code is taken into service by a reload."""
        self.reload()

    def locust(self) -> None:
        raise Failure("`make locust` is for containers; beside local processes type: locust -f loadtest")

    def migrate(self) -> None:
        setup.environment(self.run, "requirements/local.txt")
        command = [str(self.venv / "python"), "-m", "app.migrate"]
        if subprocess.run(command, env=self._environment(), cwd=ROOT).returncode:
            raise Failure("the migration failed")

    def workers(self) -> int:
        return int(self._instance()["workers"])

    # For `make prove`

    def serving(self) -> list[int]:
        return [int(pid) for pid in self._instance()["serving"]]

    def kill_worker(self) -> int:
        pid = self.serving()[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def stop_app(self) -> int:
        self._supervisorctl("stop", "app")
        # supervisor knows the exit code, and says it in its log only
        lines = [
            line for line in (self.run / "log" / "supervisord.log").read_text().splitlines() if "stopped: app" in line
        ]
        return 0 if lines and "exit status 0" in lines[-1] else 1

    def start_app(self) -> None:
        self._supervisorctl("start", "app")
        self._await_slots("app")

    def stop_seconds(self) -> int:
        return math.ceil(self.settings.stop_grace_period)

    def _instance(self) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((self.sockets / "app.json").read_text())
        return values

    def _start(self, programs: list[str]) -> None:
        if not programs:
            return
        for folder in ("log", "data"):
            (self.run / folder).mkdir(parents=True, exist_ok=True)
        if "app" in programs:
            self.in_force.put(self.settings)
        if not self.runs():
            with step("supervisor"):
                self._start_supervisor()
        servers = [name for name in programs if not name.endswith("nginx")]
        proxies = [name for name in programs if name.endswith("nginx")]
        with step("workers"):
            self._supervisorctl("start", *servers)
            for name in servers:
                self._await_slots(name)
        with step("nginx"):
            self._supervisorctl("start", *proxies, wait=False)
            self._await_ready()

    def _await_slots(self, name: str) -> None:
        slots = self.run / name / "slots.conf"
        begun = self._process_of(name)
        wait.until(lambda: slots.exists() or self._process_of(name) != begun, READY_SECONDS)
        if not slots.exists():
            raise Failure(f"{name} did not become ready; the end of its log:\n{self._tail(name)}")

    def _start_supervisor(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # inherited; a connection is a file
        command = [str(self.venv / "supervisord"), "-c", str(ROOT / "slipway" / "ops" / "supervisord.conf")]
        done = subprocess.run(command, env=self._supervisor_environment(), cwd=ROOT, capture_output=True, text=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        socket = self.run / "supervisor.sock"
        if done.returncode or not wait.until(socket.exists, 10):
            raise Failure(f"supervisor did not start: {done.stdout}{done.stderr}")

    def _environment(self) -> dict[str, str]:
        """For a command that is about the app server."""
        environment = self.settings.environment
        data = environment.get("DATA_DIR") or str(self.run / "data")
        return {**environment, "DATA_DIR": data, "SOCKET_DIR": str(self.sockets), "INSTANCE": "app"}

    def _supervisor_environment(self) -> dict[str, str]:
        """What supervisord.conf asks for and the servers get; settings come from a file, since they change."""
        return {
            **{name: value for name, value in os.environ.items() if name not in self.settings.variables},
            "SLIPWAY_ROOT": str(ROOT),
            "SLIPWAY_RUN_DIR": str(self.run),
            "SLIPWAY_VENV": str(self.venv),
            "SLIPWAY_APP": self.settings.app,
            "SLIPWAY_NGINX": shlex.join(nginx.logged(self._proxy("nginx"), str(self.venv / "python"))),
            "SLIPWAY_BASELINE_NGINX": shlex.join(
                nginx.logged(self._proxy("baseline-nginx"), str(self.venv / "python"))
            ),
            "SLIPWAY_STOP_SECONDS": str(self.stop_seconds()),
            "SETTINGS_FILE": str(self.in_force.path),
            "DATA_DIR": str(self.run / "data"),
        }

    def _proxy(self, name: str) -> list[str]:
        """Write the configuration of an nginx; the command that runs it."""
        settings = self.settings
        server, port = ("app", settings.http_port) if name == "nginx" else ("baseline", settings.baseline_port)
        return nginx.prepare(
            self.run / name,
            listen=f"{settings.host}:{port}",
            socket_dir=self.run / server,
            max_body_bytes=settings.max_body_bytes,
            read_timeout=settings.proxy_read_timeout,
        )

    def _reload_nginx(self) -> None:
        """Have nginx take new settings of its own; it cuts idle connections of clients then, so never for nothing."""
        path = self.run / "nginx" / "nginx.conf"
        before = path.read_text()
        command = self._proxy("nginx")
        if path.read_text() == before:
            return
        with step("nginx"):
            test = subprocess.run([*command, "-t", "-q"], capture_output=True, text=True)
            if test.returncode:
                path.write_text(before)
                raise Failure(f"the app has the new settings, but nginx can't take them:\n{test.stderr}")
            self._supervisorctl("signal", "HUP", "nginx")

    def _await_ready(self) -> None:
        urls = [self.settings.url, *([self.settings.baseline_url] if self.settings.baseline else [])]
        for url in urls:
            if not wait.until_ready(url, READY_SECONDS):
                status, body = wait.get(f"{url}/readyz")
                tails = f"{self._tail('app')}\n{self._tail('nginx')}"
                raise Failure(f"{url}/readyz answers {status or 'nothing'}: {body}\n{tails}")

    def _check_ports(self, missing: list[str]) -> None:
        ports = {
            "nginx": ("HTTP_PORT", self.settings.http_port),
            "baseline-nginx": ("BASELINE_PORT", self.settings.baseline_port),
        }
        for program in missing:
            if program in ports:
                name, port = ports[program]
                if not wait.is_free(self.settings.host, port):
                    raise Failure(
                        f"{name}={port} is in use on {self.settings.host} by another program; stop it or set {name}"
                    )

    def _running(self) -> dict[str, str]:
        """The programs that supervisor keeps alive, with what it says of them."""
        if not self.runs():
            return {}
        lines = [line.split(None, 1) for line in self._supervisorctl("status").splitlines()]
        return {line[0]: line[1] for line in lines if len(line) == 2 and line[1].startswith(("RUNNING", "STARTING"))}

    def _process_of(self, name: str) -> str:
        """The part of supervisor's line that tells one run of a program from the next: `RUNNING pid 123`."""
        return self._running().get(name, "").partition(",")[0]

    def _running_or_fail(self) -> None:
        if "app" not in self._running():
            raise Failure("the stack does not run; `make up` starts it")

    def _supervisorctl(self, *arguments: str, wait: bool = True) -> str:
        """`start` waits for a second before supervisor believes that the program has started."""
        command = [str(self.venv / "supervisorctl"), "-s", f"unix://{self.run}/supervisor.sock", *arguments]
        if not wait:
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            return ""
        return subprocess.run(command, capture_output=True, text=True).stdout

    def _serving_ctl(self, verb: str) -> None:
        command = [str(self.venv / "python"), "-m", "slipway.serving.ctl", verb]
        if subprocess.run(command, env=self._environment(), cwd=ROOT).returncode:
            raise Failure(f"{verb} was refused; what served before still serves")

    def _tail(self, name: str, lines: int = 20) -> str:
        path = self.run / "log" / f"{name}.log"
        if not path.exists():
            return f"(no {path.name})"
        return "\n".join(
            f"  {name} | {readable(line)}" for line in path.read_text(errors="replace").splitlines()[-lines:]
        )


def _pid(path: Path) -> int | None:
    """The process that a pid file names, if it lives."""
    with suppress(OSError, ValueError):
        pid = int(path.read_text())
        return pid if _alive(pid) else None
    return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"

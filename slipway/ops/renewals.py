"""The renewal of the certificate of ACME_DOMAINS in both runtimes; it runs only if domains are set."""

from slipway.ops import acme, packages
from slipway.ops.console import Failure, step
from slipway.ops.engine import Engine
from slipway.ops.engine_reason import engine_reason
from slipway.ops.programs import Programs
from slipway.ops.settings import StackSettings
from slipway.ops.supervisor import Supervisor


class Renewal:
    """The renewal as a program under supervisor."""

    def __init__(self, supervisor: Supervisor, programs: Programs, settings: StackSettings) -> None:
        self._supervisor = supervisor
        self._programs = programs
        self._settings = settings

    def check(self) -> None:
        """Install certbot if it is needed; raise Failure with the command to type if that is not possible."""
        if self._settings.acme.domains:
            packages.install({"certbot": "certbot"})

    def follow(self) -> None:
        """Run it with the current settings, or stop it if no domains are set."""
        program = self._programs.renewal(self._settings)
        state = self._supervisor.states().get(acme.NAME)
        wanted = bool(self._settings.acme.domains)
        if wanted and state and state.alive and self._supervisor.has(program):
            return
        if state:
            self._supervisor.stop(acme.NAME)
            self._supervisor.remove(acme.NAME)
        if wanted:
            self.check()
            self._supervisor.put(program)
            self._supervisor.start(acme.NAME)


class ComposeRenewal:
    """The renewal as a container."""

    def __init__(self, engine: Engine, settings: StackSettings) -> None:
        self._engine = engine
        self._settings = settings

    def prepare(self) -> None:
        """Prepare TLS_DIR, to which certbot writes."""
        if self._settings.acme.domains:
            acme.hand_over(self._settings.https.folder)

    def follow(self) -> None:
        """Run it with the current image and settings, or remove it if no domains are set; the stack serves already."""
        if self._settings.acme.domains:
            self._run()
        elif self._engine.containers(acme.NAME):
            self._engine.attempt("rm", "--stop", "--force", acme.NAME)

    def _run(self) -> None:
        with step("certbot"):
            for command in (("build", "--quiet", acme.NAME), ("up", "--detach", "--no-deps", acme.NAME)):
                done = self._engine.attempt(*command)
                if done.returncode:
                    raise Failure(f"the app serves, but certbot does not run: {engine_reason(done.stderr)}")

"""The services of one project: PostgreSQL and Redis start before the others, and only where they are named."""

from slipway.ops import container_files
from slipway.ops.backends import SERVICES
from slipway.ops.console import Failure, step
from slipway.ops.engine import LABEL, Engine
from slipway.ops.engine_reason import engine_reason
from slipway.ops.failed_start import first_error
from slipway.ops.settings import StackSettings

STORES_SECONDS = 60
LONG_NAMES = {"db": "PostgreSQL", "redis": "Redis"}
# A volume keeps the password that it was made with, which may be an earlier clone's: ours replaces it, by the
# unix socket, which PostgreSQL's image trusts. The data stay.
PSQL = ("exec", "-T", "--user", "postgres", "db", "psql", "-q", "-U", "slipway")


class ComposeServices:
    """What docker-compose.yml names, as far as the settings ask for it."""

    def __init__(self, engine: Engine, settings: StackSettings) -> None:
        self._engine = engine
        self._settings = settings

    def names(self, *, running: bool = False) -> list[str]:
        """Those that have a container, or one that runs."""
        return sorted({*self._engine.containers(running=running, show=f'{{{{.Label "{LABEL}.service"}}}}')})

    def up(self, *arguments: str) -> None:
        """Start what does not run; Failure with the engine's reason, and with that of a service that is not healthy."""
        done = self._engine.attempt("up", "--detach", *arguments)
        if done.returncode:
            said = [self._said(name) for name in self.names()]
            reasons = "\n  ".join(filter(None, [engine_reason(done.stderr), *said]))
            raise Failure(f"the containers do not start: {reasons}")

    def outdated(self) -> list[str]:
        """Those that run another image than the one that is named now; what is built here is none of them."""
        services = self._engine.configuration()["services"]
        images = {name: of["image"] for name, of in services.items() if "build" not in of}
        found = {name: self._engine.containers(name, running=True) for name in self.names(running=True)}
        theirs = [name for name in found if images.get(name, self._engine.image) != self._engine.image]
        return [name for name in theirs if not self._engine.are_of(images[name], *found[name])]

    def start_stores(self, *, fixed: bool) -> None:
        """Start the stores that the settings name and wait until they are healthy; `fixed` ones keep their password."""
        passwords = container_files.passwords(self._settings, fixed=fixed)
        if not (stores := self._engine.stores):
            return
        with step(" and ".join(LONG_NAMES[name] for name in stores)):
            self.up(
                "--no-recreate" if fixed else "--remove-orphans", "--wait", f"--wait-timeout={STORES_SECONDS}", *stores
            )
            if "db" in stores and not fixed:
                self._engine.attempt(
                    *PSQL, stdin=f"ALTER USER slipway PASSWORD {quoted(passwords['POSTGRES_PASSWORD'])};"
                )

    def remove_stores(self) -> None:
        """Remove the containers of stores that the settings do not name any more; their data stay."""
        left = [name for name in self.names() if name in SERVICES and name not in self._engine.stores]
        if left:
            self._engine.attempt("rm", "--stop", "--force", *left)

    def _said(self, service: str) -> str:
        """Why a service that is not healthy is not, as far as its log says it."""
        if not any("unhealthy" in status for status in self._engine.containers(service, show="{{.Status}}")):
            return ""
        log = ("logs", "--tail", "20", "--no-log-prefix", "--no-color", service)
        return f"{service}: {first_error(self._engine.attempt(*log).stdout.splitlines())}"


def quoted(text: str) -> str:
    """A string constant of SQL, whatever characters it has."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

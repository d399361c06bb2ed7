"""The services of one project: PostgreSQL and Redis start before the others, and only if the settings name them."""

from slipway.ops import container_files
from slipway.ops.backends import SERVICES
from slipway.ops.console import Failure, step
from slipway.ops.engine import LABEL, Engine
from slipway.ops.engine_reason import engine_reason
from slipway.ops.failed_start import first_error
from slipway.ops.settings import StackSettings

STORES_SECONDS = 60
LONG_NAMES = {"db": "PostgreSQL", "redis": "Redis"}
# A volume keeps the password that it was made with, which may be an earlier clone's. Ours replaces it over the unix
# socket, which PostgreSQL's image trusts. The data stay.
PSQL = ("exec", "-T", "--user", "postgres", "db", "psql", "-q", "-U", "slipway")


class ComposeServices:
    """The services of docker-compose.yml that the settings ask for."""

    def __init__(self, engine: Engine, settings: StackSettings) -> None:
        self._engine = engine
        self._settings = settings

    def names(self, *, running: bool = False) -> list[str]:
        """Return the services that have a container, or a running one."""
        return sorted({*self._engine.containers(running=running, show=f'{{{{.Label "{LABEL}.service"}}}}')})

    def up(self, *arguments: str) -> None:
        """Start missing services; raise Failure with the engine's reason and those of unhealthy services."""
        done = self._engine.attempt("up", "--detach", *arguments)
        if done.returncode:
            said = [self._said(name) for name in self.names()]
            reasons = "\n  ".join(filter(None, [engine_reason(done.stderr), *said]))
            raise Failure(f"the containers do not start: {reasons}")

    def outdated(self) -> list[str]:
        """Return the running services whose image name now leads to another image; images built here are left out."""
        services = self._engine.configuration()["services"]
        images = {name: of["image"] for name, of in services.items() if "build" not in of}
        found = {name: self._engine.containers(name, running=True) for name in self.names(running=True)}
        theirs = [name for name in found if images.get(name, self._engine.image) != self._engine.image]
        return [name for name in theirs if not self._engine.are_of(images[name], *found[name])]

    def start_stores(self, *, fixed: bool) -> None:
        """Start the stores of the settings and wait until they are healthy; `fixed` ones keep their password."""
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
        """Remove the containers of stores that the settings no longer name; their data stay."""
        left = [name for name in self.names() if name in SERVICES and name not in self._engine.stores]
        if left:
            self._engine.attempt("rm", "--stop", "--force", *left)

    def _said(self, service: str) -> str:
        """Return an unhealthy service's first error, from its log; empty for any other service."""
        if not any("unhealthy" in status for status in self._engine.containers(service, show="{{.Status}}")):
            return ""
        log = ("logs", "--tail", "20", "--no-log-prefix", "--no-color", service)
        return f"{service}: {first_error(self._engine.attempt(*log).stdout.splitlines())}"


def quoted(text: str) -> str:
    """Return a text as a string constant of SQL, with any characters."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"

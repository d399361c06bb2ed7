"""The Docker runtime: the verbs on top of docker compose."""

import math
from collections.abc import Sequence

from slipway.ops import certificate, compose_commands, compose_view, container_files, packages
from slipway.ops.console import Failure, say, step
from slipway.ops.containers import AppContainers
from slipway.ops.deployment import Deployment
from slipway.ops.engine import Engine, engine_answers
from slipway.ops.engine_reason import engine_reason
from slipway.ops.images import Images
from slipway.ops.programs import METRICS_PORT
from slipway.ops.renewals import ComposeRenewal
from slipway.ops.services import ComposeServices
from slipway.ops.settings import StackSettings
from slipway.ops.starting import Start
from slipway.ops.trials import ComposeTrials

__all__ = ["Compose", "engine_answers"]


class Compose:
    """The verbs of this runtime."""

    name = "containers"

    def __init__(self, settings: StackSettings) -> None:
        self.settings = settings
        self.engine = Engine(settings)
        self.images = Images(self.engine, settings)
        self.engine.image = self.images.newest
        self.app = AppContainers(self.engine, math.ceil(settings.stop_grace_period))
        self.services = ComposeServices(self.engine, settings)
        self.deployment = Deployment(self.engine, self.app, self.services, settings)
        self.renewal = ComposeRenewal(self.engine, settings)
        self.trials = ComposeTrials(self.engine, self.app, settings.stop_grace_period)
        self.start = Start(self.engine, self.app, self.services, settings)

    def up(self) -> None:
        """Build or pull the image, start missing services and wait until the stack is ready.

        If the app already runs, deploy what has changed. On failure the old container keeps serving, and containers
        started here are removed.
        """
        self.engine.check()
        old = self.app.find_in_service()
        if old is not None:
            self._deploy(old, again=False)
            return
        self.start.check_ports()
        self._check_certificate()
        self.deployment.check_room()
        self.engine.image = self.images.take()
        self.deployment.tell_nginx()
        self.start.run()
        self.images.in_service(self.engine.image)
        self.renewal.follow()

    def down(self) -> None:
        """Remove the containers and their networks; the named volumes with the data stay."""
        self.engine.check()
        with step("stopping"):
            if self.settings.lame_duck:  # nginx passes the ready path's answer on until the app has ended
                self.engine.compose("stop", "app")
            self.engine.compose("down", "--remove-orphans")

    def status(self) -> None:
        """Print the containers and the answer of the ready path; Failure with exit code 3 when there are none."""
        compose_view.status(self.engine, self.settings)

    def logs(self) -> None:
        """Follow all logs until interrupted."""
        compose_view.logs(self.engine, self.settings)

    def reload(self) -> None:
        """Replace the workers in the container in service; new code comes with an image, by `make deploy`."""
        container = self.app.in_service()
        self._check_certificate()
        if changed := self.app.changed_files(container):
            more = f" and {len(changed) - 1} more" if changed[1:] else ""
            raise Failure(
                f"{changed[0]}{more} changed since the image was built, and a container keeps the code of its image: "
                "`make deploy` takes the new code into service"
            )
        if not self.app.has_settings_of_now(container):
            say("  settings have changed; a container keeps those it was made with: `make deploy` takes the new ones")
        say(self.app.ctl(container, "reload"))

    def deploy(self) -> None:
        """Take a new image into service: when the new container is healthy the old one drains, else it is removed."""
        self.engine.check()
        self._deploy(self.app.in_service())

    def rollback(self) -> None:
        """Return to the image that was in service before, as a deploy does."""
        self.engine.check()
        self._deploy(self.app.in_service(), back=True)

    def migrate(self) -> None:
        """Run PRESTART alone."""
        compose_commands.migrate(self.engine, self.settings)

    def locust(self) -> None:
        """Run the load generator in containers until it is done or interrupted; Failure if it fails."""
        compose_commands.locust(self.engine, self.settings)

    def ask(self, verb: str) -> str:
        """Run a verb of slipway.serving.ctl in the app's container and return its output."""
        return self.app.ctl(self.app.in_service(), verb)

    def metrics_targets(self) -> list[str]:
        """Return the address to scrape metrics from, on the containers' network, which this machine reaches."""
        shown = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        addresses = self.engine.docker("inspect", "--format", shown, self.app.in_service()).split()
        return [
            f"{address}:{self.settings.environment.get('METRICS_PORT') or METRICS_PORT}" for address in addresses[:1]
        ]

    def workers(self) -> int:
        """Return the number of workers that the server was started with."""
        return int(self.app.status()["workers"])

    def _check_certificate(self) -> None:
        """Create or check the certificate before nginx reads it; nginx loads a new pair by itself."""
        https = self.settings.https
        https.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # else the engine creates it, owned by root
        if https.on:
            certificate.ensure(https.folder, self._openssl)
            certificate.hand_over(https.folder, self.settings.run_dir)
            self.renewal.prepare()

    def _openssl(self, arguments: Sequence[str]) -> str:
        """Run this machine's openssl, or else that of nginx's image."""
        if packages.find("openssl"):
            return certificate.openssl(arguments)
        return self.engine.compose("run", "--rm", "--no-deps", "-T", "--entrypoint", "openssl", "nginx", *arguments)

    def _deploy(self, old: str, *, back: bool = False, again: bool = True) -> None:
        """Bring the app up to date with its image and settings, and start missing services.

        `back` takes the previous release's image; `again` replaces the app's container even if it is current.
        """
        self.deployment.check_address()
        self._check_certificate()
        self.deployment.check_room()
        container_files.passwords(self.settings, fixed=True)
        self.deployment.tidy(old)
        self.engine.image = self.images.before() if back else self.images.take()
        if again or not self.app.is_current(old, self.engine.image):
            self.deployment.replace(old, migrate=not back)
        self.images.in_service(self.engine.image, back=back)
        self.deployment.tell_nginx()
        done = self.engine.attempt("up", "--detach", "--no-recreate")
        if done.returncode:
            raise Failure(f"the app serves, but not everything runs: {engine_reason(done.stderr)}")
        self.start.await_ready()
        self.services.remove_stores()
        if outdated := self.services.outdated():
            say(f"  there is another image now for {' and '.join(outdated)}: `make down` and `make up` take it")
        self.renewal.follow()

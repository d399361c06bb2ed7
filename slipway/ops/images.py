"""The app's images by version: tagged with the commit, kept for rollback, pruned beyond the last five."""

import json
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from slipway.ops.console import Failure, step
from slipway.ops.engine import Engine
from slipway.ops.settings import ROOT, StackSettings
from slipway.serving.slot_lists import write_whole

KEPT = 5
RELEASES = "releases.json"  # below RUN_DIR: the releases, the newest last


class Images:
    """One project's images. SLIPWAY_IMAGE names the repository or, with a tag, an image that was built elsewhere."""

    def __init__(self, engine: Engine, settings: StackSettings) -> None:
        self._engine = engine
        self._path = settings.run_dir / RELEASES
        self._given = settings.image
        self._repository = self._given or engine.project

    @property
    def newest(self) -> str:
        """The image name of the release in service."""
        return self._given if _has_tag(self._given) else f"{self._repository}:latest"

    def take(self) -> str:
        """Return the image to run: built here, or pulled if it was built elsewhere."""
        if _has_tag(self._given):
            if self._engine.attempt_docker("image", "inspect", self._given).returncode:
                with step(f"pull of {self._given}"):
                    self._engine.docker("pull", "--quiet", self._given)
            return self._given
        with step("image"):
            arguments = ("--quiet", "--target", "app", "--build-arg", f"COMMIT={version()}")
            image = self._engine.docker("build", *arguments, str(ROOT)).strip()
            name = f"{self._repository}:{_tag(image)}"
            self._engine.docker("tag", image, name)
        return name

    def before(self) -> str:
        """Return the release before the one in service; Failure if there is none."""
        releases = self._releases()
        if not releases[1:]:
            raise Failure("there is no release before this one; `make deploy` makes releases")
        if self._engine.attempt_docker("image", "inspect", releases[-2]).returncode:
            raise Failure(f"{releases[-2]} was in service before, but is not on this engine any more")
        return releases[-2]

    def in_service(self, name: str, *, back: bool = False) -> None:
        """Record the release in service, and remove the project's images beyond the last five."""
        releases = self._releases()
        kept = [release for release in (releases[:-2] if back else releases) if release != name][-(KEPT - 1) :]
        write_whole(self._path, json.dumps([*kept, name]))
        if not _has_tag(self._given):
            self._engine.docker("tag", name, self.newest)
        self._prune([*kept, name, f"{self._repository}:latest"])

    def _prune(self, kept: Sequence[str]) -> None:
        listed = ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", self._repository)
        for name in self._engine.attempt_docker(*listed).stdout.split():
            if name not in kept and not name.endswith(("-locust", ":<none>")):
                self._engine.attempt_docker("image", "rm", name)  # fails for an image in use, which stays

    def _releases(self) -> list[str]:
        with suppress(OSError, ValueError):
            found: list[str] = json.loads(self._path.read_text())
            return found
        return []


def version() -> str:
    """Return the checked-out commit, with `-dirty` if the tree differs from it."""
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    return f"{commit}-dirty" if _git("status", "--porcelain") else commit


def _tag(image: str) -> str:
    """Return the commit as the tag; for a dirty or unknown one, with a digest of the image."""
    name = version()
    return name if name.isalnum() and name != "unknown" else f"{name}-{image.removeprefix('sha256:')[:8]}"


def _has_tag(name: str) -> bool:
    return ":" in name.rpartition("/")[2] or "@" in name


def _git(*arguments: str) -> str:
    with suppress(OSError):
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""

"""The files in the image: everything that the reader adds, and no secret."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.ops.settings import ROOT
from tests.harness.processes import free_ports

pytestmark = pytest.mark.timeout(300)

FOLDERS = ("", "app/", "mine/deep/")
SECRETS = (
    ".env",
    ".env.production",
    "tls.key",
    "tls.pem",
    "id_rsa",
    "id_ed25519",
    ".git/config",
    ".run/postgres-password",
)
KEPT = ("mine/__init__.py", "mine/data.json", "mine/id_generator.py", "settings.toml", "mine/deep/keys.py")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[set[str]]:
    """The paths in an image built from a copy of the tree with secrets and a package of the reader's."""
    folder = tmp_path_factory.mktemp("copy") / "tree"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", ".run", "__pycache__", ".*_cache", ".venv"))
    for name in [*KEPT, *(f"{place}{secret}" for place in FOLDERS for secret in SECRETS)]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("planted")
    (folder / "mine/__init__.py").write_text("")
    (folder / "mine/id_generator.py").write_text("")
    (folder / "mine/deep/keys.py").write_text("")
    image = f"slipway-test-image-{free_ports()}"
    run(folder, "docker", "build", "--quiet", "--target", "app", "--tag", image, ".")
    try:
        yield {
            name.removeprefix("/srv/")
            for name in run(folder, "docker", "run", "--rm", image, "find", "/srv", "-type", "f").splitlines()
        }
    finally:
        run(folder, "docker", "image", "rm", "--force", image)


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("place", FOLDERS)
@pytest.mark.parametrize("secret", SECRETS)
def test_no_secret_is_in_the_image(files: set[str], place: str, secret: str) -> None:
    """No secret is in the image, whatever its depth in the tree."""
    assert f"{place}{secret}" not in files


@pytest.mark.parametrize("name", [*KEPT, "pyproject.toml", "gunicorn.conf.py", "slipway/serving/ctl.py"])
def test_all_else_is_there(files: set[str], name: str) -> None:
    """The reader's additions are in the image without an edit of the Dockerfile."""
    assert name in files


@pytest.mark.parametrize("folder", ["tests/", "slipway/ops/", "nginx/", "docs/", "bench/"])
def test_what_only_development_needs_is_not(files: set[str], folder: str) -> None:
    """Folders that only development needs are not in the image."""
    assert not [name for name in files if name.startswith(folder)]

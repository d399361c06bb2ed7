"""A project made by `make new`, and a later version of the template merged into it by `make upgrade`."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.ops.settings import ROOT
from tests.harness.processes import short_folder
from tests.ops.conftest import Verbs
from tests.own.trees import tracked

pytestmark = pytest.mark.timeout(600)
AUTHOR = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com"}
COMMITTER = {"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com"}
ENVIRONMENT = {**os.environ, **AUTHOR, **COMMITTER}


def run(folder: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=300)


def git(folder: Path, *arguments: str) -> str:
    done = run(folder, "git", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def new(template: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command behind `make new` and `make upgrade` in a tree."""
    return run(template, sys.executable, "-m", "slipway.ops.new", *arguments)


def change(path: Path, old: str, text: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, text, 1))


@pytest.fixture(scope="module")
def made() -> Iterator[tuple[Path, Path]]:
    """A tagged template of this version, and a project made from it."""
    with short_folder() as folder:
        template, project = folder / "template", folder / "My.Shop"
        for path in tracked():
            (template / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, template / path)
        git(template, "init", "--quiet", "--initial-branch=main")
        commit(template, "The template")
        git(template, "tag", "v0.1.0")
        done = new(template, "new", str(project), "fastapi")
        assert done.returncode == 0, done.stdout + done.stderr
        done = new(template, "commit", str(project), "A shop")
        assert done.returncode == 0, done.stdout + done.stderr
        yield template, project


def test_what_it_is_made_of(made: tuple[Path, Path]) -> None:
    """The example replaces `app/`, nothing of the shipped app is left, and name and README are the project's."""
    _, project = made
    table = tomllib.loads((project / "pyproject.toml").read_text())
    names = {path.name for path in project.iterdir()}

    assert {"app", "tests", "slipway", "nginx", "Makefile", "Dockerfile", "README.md", ".github"} <= names
    assert {"bench", "docs", "examples", "loadtest", "template", "copier.yml"}.isdisjoint(names)
    assert not (project / "app" / "asgi").exists()
    assert table["project"]["name"] == "my-shop"
    assert not [
        name for name in table["project"]["dependencies"] if name.startswith(("sqlalchemy", "alembic", "redis"))
    ]
    assert table["tool"]["slipway"]["app"] == "app.main:app"
    assert (project / "README.md").read_text().startswith("# my-shop\n")
    assert "loadtest" not in (project / "Dockerfile").read_text()
    assert git(project, "log", "--format=%s").splitlines() == ["A shop"]
    assert git(project, "status", "--porcelain") == ""


def test_nothing_of_it_names_what_is_not_there(made: tuple[Path, Path]) -> None:
    """The help lists no verb that needs files which the project lacks."""
    _, project = made
    listed = run(project, "make", "help").stdout

    assert "make upgrade" in listed
    assert not [verb for verb in ("bench", "soak", "locust", "screenshots", "make new ") if verb in listed]


def test_its_workflow(made: tuple[Path, Path]) -> None:
    """The workflow runs `make test` and builds the image, and the workflow linters find nothing."""
    _, project = made
    workflow = project / ".github" / "workflows" / "ci.yml"
    schema = run(project, "check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(workflow))
    trust = run(project, "zizmor", "--offline", "--quiet", str(workflow))

    assert schema.returncode == 0, schema.stdout
    assert trust.returncode == 0, trust.stdout
    assert "make test" in workflow.read_text()
    assert "docker build --target app ." in workflow.read_text()


@pytest.mark.parametrize(
    ("example", "folder", "said"),
    [
        ("rails", "shop", "there are asgi2, django, fastapi"),
        ("raw", "1234", "gives the project no name"),
        ("raw", ".", "is there and not empty"),
    ],
)
def test_wrong_words(made: tuple[Path, Path], tmp_path: Path, example: str, folder: str, said: str) -> None:
    """A wrong argument gives one line with what is allowed, and writes nothing."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "file").touch()
    done = new(made[0], "new", str(tmp_path / "work" / folder), example)

    assert done.returncode == 1
    assert said in done.stdout
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["file"]


@pytest.mark.suite
def test_upgrade(made: tuple[Path, Path]) -> None:
    """An upgrade keeps local changes and the author's files, and reports a line that both sides have changed."""
    template, project = made
    change(template / "nginx" / "types.conf", "\n", "\n# later\n")
    change(template / "docker-compose.yml", "pids_limit: 256", "pids_limit: 300")
    change(template / "pyproject.toml", '"httptools>=0.9"', '"httptools>=0.10"')
    change(template / "examples" / "fastapi" / "app" / "main.py", "Hello", "Good day")
    (template / "slipway" / "later.py").write_text('"""New."""\n')
    commit(template, "Later")
    git(template, "tag", "v0.2.0")
    change(project / "docker-compose.yml", "retries: 3", "retries: 4")
    change(project / "pyproject.toml", '"fastapi>=0.165",', '"fastapi>=0.165",\n    "httpx",')
    change(project / "app" / "main.py", "Hello", "Ahoy")
    dirty = new(project, "upgrade")
    commit(project, "Local changes")
    done = new(project, "upgrade")

    assert "not committed" in dirty.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert "# later" in (project / "nginx" / "types.conf").read_text()
    compose = (project / "docker-compose.yml").read_text()
    assert "pids_limit: 300" in compose
    assert "retries: 4" in compose
    dependencies = tomllib.loads((project / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {"httptools>=0.10", "httpx"} <= {*dependencies}
    assert "Ahoy" in (project / "app" / "main.py").read_text()
    assert (project / "slipway" / "later.py").exists()
    assert not (project / "examples").exists()

    commit(project, "Upgraded")
    change(template / "nginx" / "types.conf", "# later", "# theirs")
    commit(template, "Latest")
    git(template, "tag", "v0.3.0")
    change(project / "nginx" / "types.conf", "# later", "# ours")
    commit(project, "In the way")
    done = new(project, "upgrade")

    assert done.returncode == 1
    assert "nginx/types.conf" in done.stdout
    assert "Ahoy" in (project / "app" / "main.py").read_text()


def test_template_is_not_upgraded(made: tuple[Path, Path]) -> None:
    """The template refuses to be upgraded, with the reason."""
    done = new(made[0], "upgrade")

    assert done.returncode == 1
    assert "this is the template itself" in done.stdout


@pytest.mark.suite
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("example", ["raw", "django"])
def test_make_new_in_one_go(example: str) -> None:
    """`make new`, `make up` and `make test` work one after the other, with the packages of the lock files."""
    with short_folder() as folder:
        (folder / "run").mkdir()
        template = Verbs(folder / "run")
        template.seconds = 600
        (folder / "run" / "venv").unlink()
        made = template("new", DIR=str(folder / "shop"), EXAMPLE=example)
        assert made.returncode == 0, made.stdout + made.stderr
        (folder / "shop-run").mkdir()
        shop = Verbs(folder / "shop-run", folder / "shop")
        shop.seconds = 600
        (folder / "shop-run" / "venv").unlink()
        try:
            up = shop("up")
            assert up.returncode == 0, up.stdout + up.stderr
            test = shop("test")
        finally:
            shop("down")
        locked = {path.name for path in (folder / "shop" / "requirements").iterdir()}

        assert test.returncode == 0, test.stdout + test.stderr
        assert "passed" in test.stdout
        assert {f"{name}.txt" for name in ("acme", "app", "local", "lock", "new", "otel", "test")} == locked

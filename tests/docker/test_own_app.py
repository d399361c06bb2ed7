"""Another app in place of the shipped one, in containers: the cases of tests/own again."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from slipway.ops import wait
from slipway.ops.load import load
from slipway.ops.settings import StackSettings
from tests.docker.conftest import Containers
from tests.harness.processes import short_folder
from tests.own.test_own_app import get
from tests.own.trees import APP, KINDS, MIGRATION, PACKAGE, make_tree, serve, write

pytestmark = pytest.mark.timeout(600)
TABLE: dict[str, str | list[str]] = {"prestart": "python -m mine.migrate", "private_paths": ["/metrics"]}
SECRET = "only the app may read this"


@pytest.fixture(scope="module")
def own() -> Iterator[Containers]:
    """A running project with variables of its own in `.env`, one of which asks for the stack's database."""
    with short_folder() as folder:
        root = folder / "tree"
        make_tree(root)
        serve(root, KINDS["factory that is called"], **TABLE)
        image = f"slipway-own-{os.getpid()}"
        containers = Containers(folder, root, image)
        database = f"postgresql://slipway:{containers.env['POSTGRES_PASSWORD']}@db/slipway"
        settings = f"DATABASE_URL={database}\nRUN_DIR=run\nDATA_DIR=data\nINSTANCE=x\n"
        write(root / ".env", f"GREETING='hello $HOME'\nSECRET='{SECRET}'\n{settings}")
        try:
            containers.up()
            yield containers
        finally:
            # `.env` names the database; a test may have started Redis.
            containers.compose("--profile=db", "--profile=redis", "down", "--volumes", "--remove-orphans")
            images = containers.docker("images", "--format", "{{.Repository}}:{{.Tag}}", image).split()
            containers.docker("image", "rm", "--force", *images)


@pytest.fixture
def settings(own: Containers) -> StackSettings:
    """The settings of a client that puts load on the stack."""
    return replace(StackSettings.load(), host="127.0.0.1", http_port=own.port)


def verb(own: Containers, name: str) -> str:
    """Run a verb, which must succeed, and return its output."""
    done = own.make(name)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_is_served(own: Containers) -> None:
    """All paths of the app answer, also those that the shipped app has, except those its table calls private."""
    paths = ("/", "/livez", "/readyz", "/api/users", "/metrics", "/file")

    assert [get(own.port, path) for path in paths[:4]] == [(200, path) for path in paths[:4]]
    assert get(own.port, "/metrics")[0] == 404
    assert get(own.port, "/file") == (200, "beside the package")


def test_variables_of_its_own(own: Containers) -> None:
    """The app gets the values in `.env` unchanged, but no folder of the local runtime; nginx gets none of them."""
    assert get(own.port, "/env/GREETING") == (200, "hello $HOME")
    assert get(own.port, "/env/SECRET") == (200, SECRET)
    assert get(own.port, "/env/DATA_DIR") == (200, "/data")
    assert get(own.port, "/env/RUN_DIR") == (200, "")
    for service in ("nginx", "db"):
        assert SECRET not in own.inspect("{{.Config.Env}}", service)


def test_private_paths_of_a_new_table(own: Containers) -> None:
    """A deploy passes new private paths to nginx in the same container; without their file nginx does not start."""
    nginx = own.container("nginx")
    serve(own.root, KINDS["factory that is called"], **{**TABLE, "private_paths": ["/metrics", "/a.b"]})
    verb(own, "deploy")
    without = ("run", "--rm", "--no-deps", "--env", "NGINX_SETTINGS=/none", "nginx", "nginx", "-t")

    assert wait.until(lambda: get(own.port, "/a.b")[0] == 404, 10)
    assert [get(own.port, path)[0] for path in ("/metrics", "/aXb")] == [404, 200]
    assert own.container("nginx") == nginx
    assert not own.succeeds(*without)
    assert own.succeeds(*[word for word in without if "NGINX" not in word and word != "--env"])


def test_its_data_stay(own: Containers) -> None:
    """DATA_DIR is writable, survives `make down`, and is the same in a new container."""
    own.compose("exec", "-T", "app", "sh", "-c", "echo kept >$DATA_DIR/own.db")
    verb(own, "deploy")
    assert own.compose("exec", "-T", "app", "cat", "/data/own.db") == "kept\n"
    verb(own, "down")
    own.up()

    assert own.compose("exec", "-T", "app", "cat", "/data/own.db") == "kept\n"


def test_every_verb(own: Containers) -> None:
    """`make migrate` runs the project's own command, and every verb succeeds."""
    assert "mine has migrated" in verb(own, "migrate")
    for name in ("up", "status", "reload", "deploy"):
        verb(own, name)

    assert verb(own, "prove").count("kept  ") >= 7


def test_database_has_no_table_of_the_shipped_app(own: Containers) -> None:
    """The database that the stack provides is empty, without a table of the shipped app."""
    assert own.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == ""


def test_new_code(own: Containers) -> None:
    """A deploy takes new code into service."""
    write(own.root / PACKAGE / "__init__.py", APP.replace("else path\n", "else path + '!'\n"))
    verb(own, "deploy")

    assert wait.until(lambda: get(own.port, "/some/path") == (200, "/some/path!"), 5)
    write(own.root / PACKAGE / "__init__.py", APP)
    verb(own, "deploy")


SCHEMA = """\
import os
import sys
import time
from pathlib import Path

schema = Path(os.environ["DATA_DIR"], "schema")
with schema.with_name("runs").open("a") as runs:
    runs.write("{version} ")
if schema.exists() and int(schema.read_text()) > {version}:
    sys.exit("the schema is newer than this code")
time.sleep({seconds})
schema.write_text("{version}")
"""
READ = ("exec", "-T", "app", "cat")


def test_migration_before_the_switch(own: Containers, settings: StackSettings) -> None:
    """A deploy migrates once while the old version serves, which still serves after a rollback and a restart."""
    versions = {name: SCHEMA.format(version=name, seconds=name) for name in (1, 2)}
    own.compose("exec", "-T", "app", "sh", "-c", "rm -f /data/schema /data/runs")
    with load(settings, "/some/path") as seen:
        for version in versions.values():
            write(own.root / PACKAGE / "migrate.py", version)
            verb(own, "deploy")
        verb(own, "rollback")
    own.compose("restart", "app")

    assert wait.until(lambda: get(own.port, "/some/path") == (200, "/some/path"), 30)
    assert not seen.failures, seen.failures[:3]
    assert own.compose(*READ, "/data/runs").split() == ["1", "2"]
    assert own.compose(*READ, "/data/schema") == "2"
    assert own.compose(*READ, "/srv/mine/migrate.py") == versions[1]


def test_migration_that_fails(own: Containers, settings: StackSettings) -> None:
    """A deploy is refused with the app's own reason, printed once, and the container in service stays."""
    before = own.container()
    write(own.root / PACKAGE / "migrate.py", "raise RuntimeError('the column is there already')\n")
    try:
        with load(settings, "/some/path") as seen:
            done = own.make("deploy")
    finally:
        write(own.root / PACKAGE / "migrate.py", MIGRATION)

    assert done.returncode != 0
    assert done.stderr.count("RuntimeError: the column is there already (mine/migrate.py, line 1)") == 1, done.stderr
    assert "the old container still serves" in done.stderr
    assert own.container() == before
    assert not seen.failures, seen.failures[:3]

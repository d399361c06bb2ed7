"""Another app in place of the shipped one: only `[tool.slipway]` is changed, and every verb works."""

import ast
import re
import sqlite3
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from slipway.ops import wait
from slipway.ops.settings import ROOT
from slipway.project import Project
from tests.harness.processes import short_folder
from tests.own.trees import (
    APP,
    KINDS,
    PACKAGE,
    Own,
    is_of_the_shipped_app,
    serve,
    without_the_app_s_dependencies,
    write,
)

pytestmark = pytest.mark.timeout(300)
PLAIN = KINDS["function in a package"]


@pytest.fixture(scope="module")
def own() -> Iterator[Own]:
    """A running project; each test changes it as needed, and deploys the change itself."""
    with short_folder() as folder:
        own = Own(folder)
        try:
            verb(own, "up")
            yield own
        finally:
            own("down")


def verb(own: Own, name: str, **settings: str) -> str:
    """Run a verb, which must succeed; return its output."""
    done = own(name, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def get(port: int, path: str) -> tuple[int, str]:
    """Return status and body."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def deployed(own: Own, app: str, **table: str | list[str]) -> None:
    """Deploy an app with this table."""
    serve(own.root, KINDS[app], **table)
    verb(own, "deploy")


def test_the_tree_has_nothing_of_the_shipped_app(own: Own) -> None:
    """The copy has no shipped app, and its `[tool.slipway]` names the package."""
    assert not (own.root / "app").exists()
    assert Project.read(own.root / "pyproject.toml").app.startswith(PACKAGE)
    assert (own.root / "tests" / "test_mine.py").exists()


@pytest.mark.parametrize(
    "app", [pytest.param(app, marks=[] if app == "factory that is called" else pytest.mark.suite) for app in KINDS]
)
def test_kinds(own: Own, app: str) -> None:
    """Each kind of app can be deployed, answers through nginx, and can be reloaded with new code."""
    deployed(own, app)
    assert get(own.port, "/some/path") == (200, "/some/path")

    write(
        own.root / PACKAGE / "__init__.py",
        APP.replace("= path\n", "= path + '?'\n").replace("else path\n", "else path + '!'\n"),
    )
    try:
        verb(own, "reload")
        assert get(own.port, "/some/path") == (200, "/some/path!")
    finally:
        write(own.root / PACKAGE / "__init__.py", APP)
        verb(own, "reload")


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz", "/healthz", "/version", "/api/users", "/plaintext"])
def test_paths_of_the_shipped_app_are_free(own: Own, path: str) -> None:
    """An app may have routes with these paths, and nginx passes GETs on to them."""
    deployed(own, "function in a package")

    assert get(own.port, path) == (200, path)


def test_private_and_ready_paths_are_the_table_s(own: Own) -> None:
    """A deploy gives the table's paths to nginx and the workers: private ones are 404, and the ready path is used."""
    deployed(
        own, "function in a package", private_paths=["/metrics", "/a.b"], ready_path="/up", health_paths=["/quiet"]
    )

    assert [get(own.port, path)[0] for path in ("/metrics", "/a.b", "/aXb", "/up", "/quiet")] == [
        404,
        404,
        200,
        200,
        200,
    ]
    assert f"{own.url}/up: 200" in verb(own, "status")
    log = own.folder / "log" / "nginx.log"
    get(own.port, "/loud")
    assert wait.until(lambda: "/loud" in log.read_text(), 10)
    assert '"path":"/quiet"' not in log.read_text()


def test_another_app_in_the_table(own: Own) -> None:
    """A reload refuses another app, since a server's app is fixed, and names the verb to use; `make up` deploys it."""
    deployed(own, "function in a package")
    serve(own.root, KINDS["instance of a class"])
    reload = own("reload")

    assert reload.returncode != 0
    assert "APP='mine.instance:app' is not allowed: mine:application until `make deploy`" in reload.stderr
    assert "new server" in verb(own, "up")
    assert get(own.port, "/some/path") == (200, "/some/path")


def test_every_verb(own: Own) -> None:
    """On a running project up, status, reload, deploy and prove work; `make migrate` says that it has no command."""
    deployed(own, "function in a package")
    for name in ("up", "status", "reload", "deploy"):
        verb(own, name)
    table = verb(own, "prove")
    migrate = own("migrate")

    assert table.count("kept  ") >= 7
    assert "BROKEN" not in table
    assert migrate.returncode != 0
    assert "neither PRESTART nor prestart in [tool.slipway] names a command" in migrate.stderr


def test_its_own_migration(own: Own) -> None:
    """`make migrate` runs the table's `prestart`, and a deploy runs it before the workers start."""
    mark = own.folder / "data" / "migrated"
    serve(own.root, PLAIN, prestart="python -m mine.migrate")

    assert "mine has migrated" in verb(own, "migrate")
    mark.unlink()
    verb(own, "deploy")
    assert mark.exists()


def test_variables_and_files_of_its_own(own: Own) -> None:
    """The app gets `.env`'s values literally, also after a reload, and finds the files beside its package."""
    own.set(GREETING="'hello $HOME'", OTHER='"a # b"')
    deployed(own, "function in a package")
    assert get(own.port, "/env/GREETING") == (200, "hello $HOME")
    assert get(own.port, "/env/OTHER") == (200, "a # b")
    assert get(own.port, "/file") == (200, "beside the package")

    own.set(GREETING="bye")
    verb(own, "reload")
    assert get(own.port, "/env/GREETING") == (200, "bye")
    assert get(own.port, "/env/OTHER") == (200, "unset")
    own.set()


def test_its_database_stays_as_it_is(own: Own, tmp_path: Path) -> None:
    """No verb creates tables of the shipped app in the project's own database."""
    with closing(sqlite3.connect(tmp_path / "own.db")) as database:
        database.execute("CREATE TABLE things (id)")

        own.set(DATABASE_URL=f"sqlite:///{tmp_path}/own.db")
        deployed(own, "function in a package")
        verb(own, "reload")
        assert own("migrate").returncode != 0
        own.set()

        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("things",)]


@pytest.mark.suite  # tests/project/test_rules.py tests it on a smaller tree
def test_make_test_of_one(own: Own) -> None:
    """The linters find nothing, and the project's single test can be run alone."""
    output = verb(own, "test", PYTEST="tests/test_mine.py")

    assert "1 passed" in output


@pytest.mark.suite
def test_make_test(own: Own) -> None:
    """Slipway's tests that need no app pass in the project."""
    output = verb(own, "test")

    assert int(re.findall(r"(\d+) passed", output)[0]) > 100


def test_what_compares_with_a_twin_says_so(own: Own) -> None:
    """Without a baseline the soak ends with one line that names the key and the alternative."""
    serve(own.root, PLAIN)
    done = own("soak")
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]

    assert done.returncode != 0
    assert len(lines) == 1
    assert "[tool.slipway] baseline" in lines[0]
    assert "make prove" in lines[0]


def test_dependencies_can_be_removed() -> None:
    """The shipped app's dependencies are one block of pyproject.toml, and slipway/ imports only the others."""
    text = (ROOT / "pyproject.toml").read_text()
    before = tomllib.loads(text)
    after = tomllib.loads(without_the_app_s_dependencies(text))
    removed = {
        re.split(r"[^\w-]", name)[0]
        for name in {*before["project"]["dependencies"]} - {*after["project"]["dependencies"]}
    }
    imported = {name for path in (ROOT / "slipway").rglob("*.py") for name in imports(path)}

    assert {"alembic", "sqlalchemy", "redis", "psycopg"} <= removed
    assert not imported & {*removed, "app"}
    assert imported <= {
        "gunicorn",
        "httptools",
        "orjson",
        "prometheus_client",
        "pythonjsonlogger",
        "uvicorn",
        "uvloop",
        "websockets",
        "playwright",
        "copier",
        "rich",
        "opentelemetry",
    }


def imports(path: Path) -> Iterator[str]:
    """Yield the third-party packages that a module imports, late imports included."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        yield from ({name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"slipway", "_typeshed"})


KEPT = ("slipway", "nginx", "docker-compose.yml", "Dockerfile", ".dockerignore", "Makefile", "gunicorn.conf.py")
EXAMPLES = ("such as", "USUAL =", "UvicornWorker app.main:application`")  # a value's form, and the literal command


def test_nothing_else_names_the_shipped_app() -> None:
    """No line of the kept files, except examples, contains the shipped app's name, commands or paths."""
    project = Project.read()
    named = [project.app, project.baseline, " ".join(project.prestart), *project.health_paths, *project.private_paths]
    pattern = re.compile(
        "|".join([*(rf"{re.escape(name)}\b" for name in named), r"\bapp\.(main|wsgi|migrate|config)\b"])
    )
    files = [path for name in KEPT for path in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))]
    lines = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in files
        if path.is_file() and path.suffix not in (".pyc", ".png")
        for line in path.read_text().splitlines()
        if pattern.search(line) and not any(example in line for example in EXAMPLES)
    ]

    assert lines == []


def test_what_is_removed_is_the_app_and_its_tests() -> None:
    """The app and its tests are removed, and the tests of the server and of the verbs stay."""
    assert is_of_the_shipped_app(Path("app/main.py"))
    assert not is_of_the_shipped_app(Path("tests/project/test_project.py"))

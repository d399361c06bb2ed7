"""A project made from the template: `app/` and its tests are replaced by a package of the project."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from slipway.ops.place import place
from slipway.ops.settings import ROOT
from tests.harness.copies import with_types
from tests.ops.conftest import Verbs

PACKAGE = "mine"
# Removed with app/: its folder of tests, and every test that imports it.
IMPORTS_APP = re.compile(r"^\s*(from|import) app\b", re.MULTILINE)

# Ten lines: each path is answered with the path, /env/NAME with a variable, /file with a file beside the package.
APP = """\
import os
from pathlib import Path

async def application(scope, receive, send):
    assert scope["type"] == "http"
    path = scope["path"]
    body = os.environ.get(path[5:], "unset") if path.startswith("/env/") else path
    body = Path("words.txt").read_text() if path == "/file" else body
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-answer", b"old")]})
    await send({"type": "http.response.body", "body": body.encode()})
"""

TEST = """\
import asyncio

from mine import application


def test_path_comes_back():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(application({"type": "http", "path": "/x"}, None, send))
    assert sent[-1]["body"] == b"/x"
"""

MIGRATION = """\
import os
from pathlib import Path

Path(os.environ["DATA_DIR"], "migrated").touch()
print("mine has migrated")
"""


@dataclass(frozen=True)
class Kind:
    """A way to write an app: the table's `app`, and the package's additional modules."""

    app: str
    files: dict[str, str] = field(default_factory=dict)


KINDS = {
    "function in a package": Kind("mine:application"),
    "module in a package": Kind("mine.web.main:app", {
        "web/__init__.py": "", "web/main.py": "from mine import application as app\n",
    }),
    "factory that is called": Kind("mine.factory:create()", {
        "factory.py": "from mine import application\n\ndef create():\n    return application\n",
    }),
    "factory with an argument": Kind("mine.factory:create('x')", {
        "factory.py": "from mine import application\n\ndef create(name):\n    return application\n",
    }),
    "factory that is named": Kind("mine.named:create", {
        "named.py": "from mine import application\n\ndef create():\n    return application\n",
    }),
    "instance of a class": Kind("mine.instance:app", {
        "instance.py": """\
from mine import application

class App:
    async def __call__(self, scope, receive, send):
        await application(scope, receive, send)

app = App()
""",
    }),
    "ASGI 2": Kind("mine.two:App", {
        "two.py": """\
from mine import application

class App:
    def __init__(self, scope):
        self.scope = scope

    async def __call__(self, receive, send):
        await application(self.scope, receive, send)
""",
    }),
    "lifespan": Kind("mine.lifespan:app", {
        "lifespan.py": """\
from mine import application

async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        return await application(scope, receive, send)
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})
""",
    }),
}  # fmt: skip


def tracked() -> list[Path]:
    """Return the files of the tree, new ones included, as paths relative to it."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [Path(name) for name in names if name and (ROOT / name).is_file()]


def is_of_the_shipped_app(path: Path) -> bool:
    """Return whether a file is removed: app/ itself, and the tests that need it."""
    if path.parts[0] == "app" or path.parts[:2] == ("tests", "app"):
        return True
    return path.parts[0] == "tests" and path.suffix == ".py" and bool(IMPORTS_APP.search((ROOT / path).read_text()))


def make_tree(root: Path) -> None:
    """Write the project without a table, which `serve` writes."""
    with_types(root)
    for path in tracked():
        if not is_of_the_shipped_app(path):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, root / path)
    files = {"__init__.py": APP, "migrate.py": MIGRATION}
    for kind in KINDS.values():
        files |= {name: text for name, text in kind.files.items() if name != "factory.py"}
    for name, text in files.items():
        write(root / PACKAGE / name, text)
    write(root / "tests" / "test_mine.py", TEST)
    write(root / "words.txt", "beside the package")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def serve(root: Path, kind: Kind, **table: str | list[str]) -> None:
    """Write the package's modules and `[tool.slipway]`; leave the rest of pyproject.toml unchanged."""
    for name, text in kind.files.items():
        write(root / PACKAGE / name, text)
    lines = [f"{key} = {value!r}" for key, value in table.items()]
    new = "\n".join(["[tool.slipway]", f'app = "{kind.app}"', *lines])
    text = re.sub(
        r"^\[tool\.slipway\]\n(?:.+\n)*", lambda match: new + "\n", (root / "pyproject.toml").read_text(), flags=re.M
    )
    (root / "pyproject.toml").write_text(text)


def without_the_app_s_dependencies(text: str) -> str:
    """Return pyproject.toml without the block of the shipped app's dependencies."""
    return re.sub(r"(    # The shipped app's; .*\n)(?:    \".*\n)+", r"\1", text)


class Tree(Verbs):
    """The verbs of a project beside this one, which is configured by its `.env` alone."""

    seconds = 240  # `make test` runs the linters on a copy without their caches

    def __init__(self, folder: Path, make: Callable[[Path], None]) -> None:
        for name in ("run", "tree"):
            (folder / name).mkdir()
        super().__init__(folder / "run", folder / "tree")
        make(self.root)
        self._take_environment()
        self._fixed, self.settings = self.settings, {}
        self.set()

    def set(self, **variables: str) -> None:
        """Write `.env`."""
        lines = [f"{name}={value}\n" for name, value in {**self._fixed, **variables}.items()]
        (self.root / ".env").write_text("".join(lines))

    def _take_environment(self) -> None:
        """Link the tests' environment and mark each lock file as installed, so that nothing is installed."""
        venv = self.folder / "venv"
        shared = venv.resolve()
        venv.unlink()
        venv.mkdir()
        for path in shared.iterdir():
            if not path.name.startswith("."):
                (venv / path.name).symlink_to(path)
        for lock in (self.root / "requirements").glob("*.txt"):
            digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
            (venv / f".{lock.stem}").write_text(digest)


class Own(Tree):
    """A project made from the present tree."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _make_own)


def _make_own(root: Path) -> None:
    make_tree(root)
    serve(root, KINDS["function in a package"])


def make_example(root: Path, example: str) -> None:
    """Write the project that `make new` makes, with empty lock files."""
    left_out = [*re.findall(r"\}/([\w./]+)\{%", (ROOT / "copier.yml").read_text()), "copier.yml"]
    for path in tracked():
        named = str(path)
        if not any(named == name or named.startswith(f"{name}/") for name in left_out):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / path, root / path)
    shutil.rmtree(root / "examples", ignore_errors=True)
    shutil.copytree(
        ROOT / "examples" / example, root / "examples" / example, ignore=shutil.ignore_patterns("__pycache__")
    )
    place(root, example, f"{example}-project", "{}")
    for name in ("app", "local", "test"):
        write(root / "requirements" / f"{name}.txt", "")

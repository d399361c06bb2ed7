"""`make new` and `make upgrade`: set up copier, run slipway/ops/new.py and compile the lock files."""

import os
import shlex
from pathlib import Path

from slipway.ops.console import Failure, say, step
from slipway.ops.locks import compile_locks, lock
from slipway.ops.settings import ROOT
from slipway.ops.tools import prepare, run


def new(arguments: list[str]) -> None:
    """Make a project from an example, with lock files and a first commit."""
    folder, example = (os.environ.get(name, "").strip() for name in ("DIR", "EXAMPLE"))
    if not folder:
        raise Failure("make new DIR=../name EXAMPLE=fastapi; examples/ has the examples")
    root = Path(folder).expanduser().absolute()
    prepare("requirements/new.txt")
    with step(str(root)):
        run("slipway.ops.new", "new", str(root), example or "starlette")
    tested = ["-c", str(ROOT / "requirements" / "test.txt")]  # the versions that the examples were tested with
    compile_locks(root, tested)
    run("slipway.ops.new", "commit", str(root), f"{root.name} from Slipway's example {example or 'starlette'}")
    say(f"\nNext: cd {shlex.quote(str(root))} && make up")


def upgrade(arguments: list[str]) -> None:
    """Merge a later version of the template into a project that `make new` has made."""
    prepare("requirements/new.txt")
    before = (ROOT / "pyproject.toml").read_text()
    run("slipway.ops.new", "upgrade", *filter(None, [os.environ.get("VERSION", "").strip()]))
    if (ROOT / "pyproject.toml").read_text() != before:
        lock([])
    say("\nNext: look at `git diff`, `make test`, then commit")

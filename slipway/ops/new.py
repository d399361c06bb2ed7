"""`make new` and `make upgrade`: make a project from this template, and merge later template versions into it.

Runs in the environment of requirements/new.txt, which has copier.
"""

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import copier
from copier.errors import CopierError, DirtyLocalWarning

from slipway.ops.console import Failure, say
from slipway.ops.place import ANSWERS, SHIPPED
from slipway.ops.settings import ROOT

NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")  # valid for a Python package and for Docker's names
AUTHOR = {"GIT_AUTHOR_NAME": "Slipway", "GIT_AUTHOR_EMAIL": "slipway@localhost"}  # if git has no user.email
COMMITTER = {name.replace("AUTHOR", "COMMITTER"): value for name, value in AUTHOR.items()}


def examples() -> list[str]:
    """Return the values that EXAMPLE may have."""
    return [*sorted(path.parent.name for path in (ROOT / "examples").glob("*/pyproject.toml")), SHIPPED]


def new(folder: Path, example: str) -> None:
    """Make the project; a failure leaves no new folder behind."""
    if example not in examples():
        raise Failure(f"EXAMPLE={example!r} is none; there are {', '.join(examples())}")
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")
    if not NAME.fullmatch(name):
        raise Failure(f"DIR={str(folder)!r} gives the project no name: its last part begins with a letter")
    if folder.exists() and any(folder.iterdir()):
        raise Failure(f"{folder} is there and not empty")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DirtyLocalWarning)  # the template has uncommitted changes
        copier.run_copy(
            str(ROOT),
            folder,
            data={"example": example, "name": name},
            vcs_ref="HEAD",
            unsafe=True,  # the task is slipway/ops/place.py of this tree
            quiet=True,
        )


def commit(folder: Path, message: str) -> None:
    """Make the first commit of a new project."""
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    known = git(folder, "config", "--default", "", "--get", "user.email").strip()
    git(folder, "commit", "--quiet", "--message", message, **({} if known else {**AUTHOR, **COMMITTER}))


def upgrade(folder: Path, version: str | None) -> None:
    """Merge a later version of the template; raise Failure with the names of files that have conflicts."""
    if not (folder / ANSWERS).exists():
        raise Failure(f"no {ANSWERS} here: this is the template itself, or was not made by `make new`")
    if git(folder, "status", "--porcelain").strip():
        raise Failure("there are changes that are not committed; commit them first, so that they can't be lost")
    try:
        copier.run_update(
            folder, vcs_ref=version, defaults=True, overwrite=True, unsafe=True, quiet=True, conflict="inline"
        )
    except CopierError as error:
        raise Failure(f"the template can't be merged: {error}") from None
    if conflicts := unmerged(folder):
        raise Failure(f"merged, but for {', '.join(conflicts)}: choose between the marks <<<<<<< and >>>>>>>")


def unmerged(folder: Path) -> list[str]:
    """Return the files that have conflict markers."""
    changed = git(folder, "diff", "--name-only", "HEAD").split("\n")
    return [name for name in changed if name and "\n<<<<<<< " in _text(folder / name)]


def git(folder: Path, *arguments: str, **variables: str) -> str:
    """Run git and return its output; raise Failure with its reason."""
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"git {arguments[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _text(path: Path) -> str:
    try:
        return "\n" + path.read_text()
    except (OSError, UnicodeDecodeError):  # removed, or not a text file
        return ""


def main(arguments: Sequence[str]) -> None:
    """`new FOLDER EXAMPLE`, `commit FOLDER MESSAGE`, `upgrade [VERSION]`."""
    match arguments:
        case ["new", folder, example]:
            new(Path(folder), example)
        case ["commit", folder, message]:
            commit(Path(folder), message)
        case ["upgrade", *version]:
            upgrade(ROOT, version[0] if version else None)
        case _:
            raise Failure("usage: python -m slipway.ops.new new FOLDER EXAMPLE | upgrade [VERSION]")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        say(str(failure))
        sys.exit(1)

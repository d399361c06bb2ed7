"""`make lock`: compiles the lock files in requirements/ from pyproject.toml."""

import subprocess
import tomllib
from pathlib import Path

from slipway.ops import setup
from slipway.ops.console import Failure, step
from slipway.ops.settings import ROOT, StackSettings

# Extras in pyproject.toml that have a lock file.
EXTRAS = ("local", "acme", "otel", "loadtest", "test", "bench", "peers", "lock", "new")


def lock(arguments: list[str]) -> None:
    """Compile all lock files; the versions in app.txt also hold for the others."""
    compile_locks(ROOT, arguments)


def compile_locks(root: Path, arguments: list[str]) -> None:
    """Compile the lock files of a tree (the app's and one for each extra) with this tree's uv."""
    uv = setup.environment(StackSettings.load().run_dir, "requirements/lock.txt") / "uv"
    fixed = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url", "--no-header"]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"].get("optional-dependencies", {})
    (root / "requirements").mkdir(exist_ok=True)
    for name in ("app", *(extra for extra in EXTRAS if extra in extras)):
        extra = [] if name == "app" else ["--extra", name, "-c", "requirements/app.txt"]
        command = [str(uv), "pip", "compile", "-q", "pyproject.toml", *fixed, *extra, "-o", f"requirements/{name}.txt"]
        with step(f"requirements/{name}.txt"):
            if subprocess.run([*command, *arguments], cwd=root, stdin=subprocess.DEVNULL).returncode:
                raise Failure("uv could not resolve the dependencies; see above")

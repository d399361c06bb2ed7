"""Which rules apply to which code: slipway/ruff.toml and mypy.ini to Slipway's, the author's own to a project's.

A folder is Slipway's if its `ruff.toml` extends slipway/ruff.toml. The shipped app and its tests are among them until
their folders are replaced.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.ops.settings import ROOT

OWN = "slipway/ruff.toml"
TYPES = "slipway/mypy.ini"
LOOSE = ("gunicorn.conf.py", "tests/conftest.py")  # files of ours outside our folders
APP, TESTS = "app", "tests"
# These can be checked and tested without the shipped app; the rest of ours serves, calls or measures it.
STANDALONE = ("slipway", "tests/harness", "tests/logs", "tests/middleware", "tests/serving", *LOOSE)


@dataclass(frozen=True, slots=True)
class Rules:
    """The folders of a tree by whose rules apply; paths are relative to it."""

    ours: tuple[str, ...]
    """Folders and files under Slipway's rules."""
    theirs: tuple[str, ...]
    """Folders with a ruff.toml of the project's author."""
    tools: dict[str, Any]
    """The tables `[tool.…]` of pyproject.toml, which belong to the author."""

    @classmethod
    def of(cls, root: Path = ROOT) -> "Rules":
        """Look for rules in the top-level folders and in the folders of tests/."""
        found = sorted(path for pattern in ("*", f"{TESTS}/*") for path in root.glob(f"{pattern}/ruff.toml"))
        ours = [path for path in found if _is_ours(path, root / OWN)]
        folders = [str(path.parent.relative_to(root)) for path in ours]
        return cls(
            (*folders, *(name for name in LOOSE if (root / name).exists())),
            tuple(str(path.parent.relative_to(root)) for path in found if path not in ours),
            tomllib.loads((root / "pyproject.toml").read_text()).get("tool", {}),
        )

    @property
    def has_the_shipped_app(self) -> bool:
        """Whether the app is still the one that Slipway's tests serve."""
        return APP in self.ours

    @property
    def usable(self) -> tuple[str, ...]:
        """Our code that can be checked: all of it, or without the shipped app the standalone part."""
        return self.ours if self.has_the_shipped_app else tuple(name for name in self.ours if name in STANDALONE)

    def checks(self, package: str) -> list[list[str]]:
        """Return the commands of ruff and mypy; `package` is the served one."""
        folders = [name for name in self.ours if name not in LOOSE]
        loose = ["--no-cache", "--config", OWN, *(name for name in self.ours if name in LOOSE)]
        commands = [
            ["ruff", "check", "--quiet", *folders],
            ["ruff", "check", "--quiet", *loose],
            ["ruff", "format", "--check", "--quiet", *folders],
            ["ruff", "format", "--check", "--quiet", *loose],
            ["mypy", "--config-file", TYPES, *self.usable],
        ]
        return commands + self._checks_of_theirs(package)

    def _checks_of_theirs(self, package: str) -> list[list[str]]:
        ruff, mypy = self.tools.get("ruff", {}), self.tools.get("mypy")
        aside = ["--config", f"extend-exclude={[*self.ours]}"]
        commands = []
        if paths := ["."] if "lint" in ruff else [*self.theirs]:
            commands.append(["ruff", "check", "--quiet", *aside, *paths])
        if "format" in ruff:
            commands.append(["ruff", "format", "--check", "--quiet", *aside, "."])
        if mypy is not None and package not in self.ours:
            commands.append(["mypy", *([] if mypy.keys() & {"files", "packages", "modules"} else ["-p", package])])
        return commands


def _is_ours(rules: Path, own: Path) -> bool:
    extended = tomllib.loads(rules.read_text()).get("extend", "")
    return rules == own or (rules.parent / extended).resolve() == own.resolve()

"""The served app: the table `[tool.slipway]` of pyproject.toml, read by this module only.

Nothing else names the app, its commands or its routes. `APP=module:callable` serves another app for one run; the rest
of the table does not apply to it.
"""

import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slipway.environment import Environment, SettingError

ROOT = Path(__file__).resolve().parents[1]
FILE = "pyproject.toml"
TABLE = "[tool.slipway]"
PREFIX = re.compile(r"(/[\w.~-]+)+/", re.ASCII)
IN_DATA_DIR = "DATA_DIR/"
FOLDER = re.compile(r"(?!\.)[\w.~-]+(/(?!\.)[\w.~-]+)*", re.ASCII)
PATH = re.compile(r"/[!-\"$->@-~]*")  # printable ASCII without ? and #


@dataclass(frozen=True, slots=True)
class Project:
    """One app and its properties that a server needs. Paths begin with a slash."""

    app: str
    """`module:callable`, as gunicorn and uvicorn take it."""
    prestart: tuple[str, ...] = ()
    """The command that runs once before the first worker starts and before a reload; empty: none."""
    ready_path: str = ""
    """The path that answers 200 when a worker can serve; empty: `/`, where any answer below 500 counts."""
    health_paths: tuple[str, ...] = ()
    """Paths of health checks, including `ready_path`: neither logged nor refused."""
    private_paths: tuple[str, ...] = ()
    """Paths that nginx does not pass on."""
    static: tuple[tuple[str, str], ...] = ()
    """Folders that nginx serves by itself, each with the prefix of its URLs: `/static/` and `app/pages`.

    A folder that begins with `DATA_DIR/` is below DATA_DIR, such as files that a prestart collects.
    """
    private_files: tuple[tuple[str, str], ...] = ()
    """The same for folders below DATA_DIR whose files only the app's `X-Accel-Redirect` gives to a client."""
    baseline: str = ""
    """The WSGI version of the app for the benchmark's comparison; empty: none."""

    @classmethod
    def read(cls, path: Path = ROOT / FILE) -> "Project":
        """Read the table; raise SettingError, naming the key, for a wrong value or an unknown key."""
        try:
            table = tomllib.loads(path.read_text()).get("tool", {}).get("slipway", {})
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingError(FILE, path.name, f"a readable TOML file ({error})") from None
        for key in table.keys() - {*cls.__dataclass_fields__}:
            raise SettingError(
                f"{FILE} {TABLE} {key}", str(table[key]), f"one of {', '.join(cls.__dataclass_fields__)}"
            )
        ready = _path(table, "ready_path")
        return cls(
            app=callable_name(f"{FILE} {TABLE} app", _text(table, "app")),
            prestart=command(f"{FILE} {TABLE} prestart", _text(table, "prestart")),
            ready_path=ready,
            health_paths=tuple(dict.fromkeys([*filter(None, [ready]), *_paths(table, "health_paths")])),
            private_paths=_paths(table, "private_paths"),
            static=_folders(table, "static"),
            private_files=_folders(table, "private_files"),
            baseline=callable_name(f"{FILE} {TABLE} baseline", _text(table, "baseline"), optional=True),
        )

    def twin(self) -> str:
        """Return the baseline; raise SettingError, with its purpose, if there is none."""
        if not self.baseline:
            what = "a WSGI twin of the app: both are asked for the work in bench/ (`make prove` is for any app)"
            raise SettingError(f"{FILE} {TABLE} baseline", self.baseline, what)
        return self.baseline

    def serving(self, app: str) -> "Project":
        """Return this project for its own app, else a project with only the app set."""
        return self if app == self.app else Project(app)


def served(variables: Mapping[str, str] | None = None) -> Project:
    """Return the project of this folder, or of another app if the variable APP names one."""
    project = Project.read()
    env = Environment(variables)
    return project.serving(callable_name("APP", env.text("APP", project.app)))


def callable_name(name: str, value: str, *, optional: bool = False) -> str:
    """Check `module:callable`, where the callable may be a call (a factory); raise SettingError for a wrong value."""
    module, colon, attribute = value.partition(":")
    if not value and optional:
        return value
    if not colon or not attribute or not all(part.isidentifier() for part in module.split(".")):
        raise SettingError(name, value, "module:callable, such as app.main:application")
    return value


def command(name: str, value: str) -> tuple[str, ...]:
    """Return the words of a command line, none for `none`; raise SettingError for a broken quote or no program."""
    try:
        words = tuple(shlex.split(value))
    except ValueError as error:  # an unclosed quote
        raise SettingError(name, value, f'a command as a shell reads it, or "none" ({error})') from None
    if value and not (words and words[0].strip()):
        raise SettingError(name, value, 'the name of a program and its arguments, or "none"')
    return () if words == ("none",) else words


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise SettingError(f"{FILE} {TABLE} {key}", str(value), "a string")
    return value.strip()


def _path(table: Mapping[str, Any], key: str) -> str:
    value = _text(table, key)
    if value and not PATH.fullmatch(value):
        raise SettingError(f"{FILE} {TABLE} {key}", value, "a path that begins with /")
    return value


def _folders(table: Mapping[str, Any], key: str) -> tuple[tuple[str, str], ...]:
    values = table.get(key, {})
    if not isinstance(values, dict):
        raise SettingError(f"{FILE} {TABLE} {key}", str(values), 'a table such as {"/static/" = "app/pages"}')
    for prefix, folder in values.items():
        if not PREFIX.fullmatch(prefix):
            raise SettingError(f"{FILE} {TABLE} {key}", prefix, "a prefix such as /static/, with a slash at both ends")
        if not isinstance(folder, str) or not FOLDER.fullmatch(folder):
            raise SettingError(f"{FILE} {TABLE} {key}", str(folder), "a folder such as app/pages, relative, without ..")
    return tuple(values.items())


def _paths(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list):
        raise SettingError(f"{FILE} {TABLE} {key}", str(values), "a list of paths")
    return tuple(_path({key: value}, key) for value in values)

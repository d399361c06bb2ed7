"""New settings while the server runs: the file that SETTINGS_FILE names is read at the start and at each reload.

The environment of a process is fixed when it starts, so new values of `.env` could not reach it otherwise. The file
takes precedence over the environment; a variable that the file no longer names has its earlier value again.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from slipway.environment import Environment, SettingError
from slipway.serving.settings import ServerSettings

# Settings, with their fields, that can't change in a reload: listeners, files and stop time-outs depend on them.
FIXED = {
    "SOCKET_DIR": "socket_dir",
    "RUN_DIR": "run_dir",
    "INSTANCE": "instance",
    "SLOT_HOST": "slot_host",
    "SLOT_PORT": "slot_port",
    "WEB_CONCURRENCY": "slots",
    "STOP_GRACE_PERIOD": "stop_grace_period",
    "METRICS_HOST": "metrics_host",
    "METRICS_PORT": "metrics_port",
}


class Variables:
    """The variables of the file, which are put into our environment and taken out again."""

    def __init__(self) -> None:
        self.in_use: dict[str, str] = {}
        self._started_with = dict(os.environ)
        env = Environment()
        self._path = Path(env.text("SETTINGS_FILE")) if env.text("SETTINGS_FILE") else None

    def read(self) -> dict[str, str]:
        """Return the file's current variables; none without SETTINGS_FILE."""
        if self._path is None:
            return {}
        try:
            return {str(name): str(value) for name, value in json.loads(self._path.read_text()).items()}
        except (OSError, ValueError, AttributeError) as error:
            raise SettingError("SETTINGS_FILE", str(self._path), f"a file with one JSON object ({error})") from None

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return our environment with these variables in place of those that the file had set."""
        kept = {name: value for name, value in os.environ.items() if name not in self.in_use}
        before = {name: value for name, value in self._started_with.items() if name in self.in_use}
        return {**kept, **before, **variables}

    def take(self, variables: Mapping[str, str]) -> None:
        """Put these variables into our environment, which forked workers inherit."""
        environment = self.environment(variables)
        for name in self.in_use.keys() - environment.keys():
            os.environ.pop(name, None)
        os.environ.update(environment)
        self.in_use = dict(variables)

    def refuse(self, variables: Mapping[str, str] | None) -> None:
        """Write the variables in use back to the file, for the next start, unless the file has changed again."""
        try:
            newest: dict[str, str] | None = self.read()
        except SettingError:
            newest = None
        if self._path is not None and newest == variables != self.in_use:
            with suppress(OSError):  # a failing disk must not disturb the serving workers
                write(self._path, self.in_use)


def check_change(old: ServerSettings, new: ServerSettings) -> None:
    """Raise SettingError for a change that needs a restart."""
    for name, field in FIXED.items():
        before, after = getattr(old, field), getattr(new, field)
        if before != after:
            raise SettingError(name, _shown(after), f"{_shown(before)} until the server is started anew")


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Replace the file in one step; only its owner can read it, since it may hold passwords."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(0o600)
    new.write_text(json.dumps(variables))
    new.replace(path)


# One for the life of the process: a reload executes gunicorn.conf.py, which takes the file's variables, again.
variables = Variables()

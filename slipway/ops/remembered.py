"""The settings of the local stack: the app server reads them at each start and reload, and later verbs reuse them.

A variable that the caller of a verb has set holds until `make down`, unless `.env` or a later caller overrides it:
after `HTTP_PORT=8090 make up`, a `make reload` or `make status` without it is about port 8090.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from slipway.environment import SettingError
from slipway.ops.settings import StackSettings
from slipway.serving.variables import write

# Settings that only a start can change, with their fields. The app server itself refuses those that it can't change.
FIXED = {"HOST": "host", "HTTP_PORT": "http_port", "HTTPS": "https.mode", "HTTPS_PORT": "https.port"}
FIXED_IN_RELOADS = {"APP": "app"}
OURS = {"SOCKET_DIR", "INSTANCE"}  # set by the runtime, different for each server


class Remembered:
    """The settings of each server, and the variables that callers have set."""

    def __init__(self, run_dir: Path) -> None:
        self._folder = run_dir
        self._overrides = run_dir / "given.json"

    def path(self, server: str) -> Path:
        """Return the file that a server reads."""
        return self._folder / f"settings-{server}.json"

    def put(self, settings: StackSettings, server: str) -> None:
        """Write the settings for a server's next start or reload; a server that refuses them restores its own."""
        write(self.path(server), _for_server(settings))

    def settings_of(self, server: str, run_dir: Path) -> StackSettings:
        """Return the settings that a server runs with."""
        return replace(StackSettings.of(_read(self.path(server)), self.overrides()), run_dir=run_dir)

    def differs(self, settings: StackSettings, server: str) -> bool:
        """Whether a server runs with other settings."""
        return _read(self.path(server)) != _for_server(settings)

    def remember(self, settings: StackSettings) -> None:
        """Keep the variables that the caller has set."""
        write(self._overrides, settings.overrides)

    def overrides(self) -> Mapping[str, str]:
        """Return the variables that callers have set since `make up`."""
        return _read(self._overrides)

    def check_change(self, settings: StackSettings, server: str, *, deploy: bool = False) -> None:
        """Raise SettingError for a change that needs a start."""
        now = StackSettings.of(_read(self.path(server)), {})
        for name, field in (FIXED if deploy else FIXED | FIXED_IN_RELOADS).items():
            old, new = map(attrgetter(field), (now, settings))
            if old != new:
                what = "`make deploy`" if name in FIXED_IN_RELOADS else "`make down` and `make up`"
                raise SettingError(name, str(new), f"{old} until {what}")

    def forget(self) -> None:
        """Remove all files, once nothing runs any more."""
        for path in (self._overrides, *self._folder.glob("settings-*.json")):
            path.unlink(missing_ok=True)


def _for_server(settings: StackSettings) -> dict[str, str]:
    """Return the variables for a server, always with APP: `[tool.slipway]` may change after the start."""
    variables = {name: value for name, value in settings.variables.items() if value and name not in OURS}
    return {**variables, "APP": settings.app}


def _read(path: Path) -> Mapping[str, str]:
    variables: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return variables

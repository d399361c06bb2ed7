"""What the local stack runs with: the app server reads it at each start and reload, and the later verbs remember it.

A variable that the caller of a verb has set holds until `make down`, unless `.env` or a later caller says otherwise:
after `HTTP_PORT=8090 make up`, a `make reload` or `make status` without it is about port 8090.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from slipway.environment import SettingError
from slipway.ops.settings import Settings
from slipway.serving.variables import write

# What only a start can change, and the field that tells. What the app server can't change it refuses itself.
FIXED = {
    "APP": "app",
    "HOST": "host",
    "HTTP_PORT": "http_port",
}
OURS = {"SOCKET_DIR", "INSTANCE"}  # set by the runtime, for each server another


class InForce:
    """Two files in the folder of everything that is written: all settings, and of them what callers have set."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / "settings.json"
        self._given = run_dir / "given.json"

    def put(self, settings: Settings) -> None:
        """Have the app server take these when it starts or reloads; if it refuses them, it puts back what it has."""
        write(self.path, {name: value for name, value in settings.variables.items() if value and name not in OURS})

    def remember(self, settings: Settings) -> None:
        write(self._given, settings.given)

    def remembered(self) -> Mapping[str, str]:
        return _read(self._given)

    def check_change(self, settings: Settings) -> None:
        """Raise SettingError for a change that needs a start."""
        now = Settings.of(_read(self.path), {})
        for name, field in FIXED.items():
            old, new = getattr(now, field), getattr(settings, field)
            if old != new:
                raise SettingError(name, str(new), f"{old} until `make down` and `make up`")

    def forget(self) -> None:
        self.path.unlink(missing_ok=True)
        self._given.unlink(missing_ok=True)


def _read(path: Path) -> Mapping[str, str]:
    variables: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return variables

"""Reads settings from environment variables; a wrong value ends the start with a one-line message.

Shared by `app/config.py` and the rest of `slipway/`, where the settings are listed. Standard library only.
"""

import os
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

Number = TypeVar("Number", int, float)

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off", ""}


class SettingError(SystemExit):
    """A setting with a value that is not allowed; as a SystemExit it ends the process with its one-line message."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        self.name = name
        super().__init__(f"{name}={value!r} is not allowed: {allowed}")


class Environment:
    """Typed access to environment variables. An empty variable counts as unset, as in a compose file."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables

    def text(self, name: str, default: str = "") -> str:
        return self._variables.get(name, "").strip() or default

    def integer(self, name: str, default: int, low: int, high: int, allowed: str = "") -> int:
        return self._number(name, default, int, low, high, allowed or f"a whole number from {low} to {high}")

    def seconds(self, name: str, default: float, low: float, high: float) -> float:
        allowed = f"a number of seconds from {low:g} to {high:g}"
        return self._number(name, default, float, low, high, allowed)

    def flag(self, name: str, default: bool) -> bool:
        value = self.text(name, "1" if default else "0").lower()
        if value not in TRUE | FALSE:
            raise SettingError(name, value, "1 or 0")
        return value in TRUE

    def choice(self, name: str, default: str, allowed: Collection[str]) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise SettingError(name, value, "one of " + ", ".join(allowed))
        return value

    def _number(
        self, name: str, default: Number, parse: Callable[[str], Number], low: float, high: float, allowed: str
    ) -> Number:
        value = self.text(name, str(default))
        try:
            number = parse(value)
        except ValueError:
            raise SettingError(name, value, allowed) from None
        if not low <= number <= high:
            raise SettingError(name, value, allowed)
        return number

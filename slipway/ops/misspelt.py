"""Names in `.env` that are probably meant to be a setting."""

import difflib
from collections.abc import Collection

ALIKE = 0.8  # of 1.0; WEB_CONCURENCY and HTTPPORT score above it, the variables of an app far below


def notes(names: Collection[str], known: Collection[str]) -> list[str]:
    """Return one line for each name that is no setting but resembles one; other names are taken for the app's own."""
    by_key = {_key(name): name for name in known}
    found = []
    for name in sorted({*names} - {*known}):
        near = difflib.get_close_matches(_key(name), by_key, 1, ALIKE)
        if near:
            found.append(f"{name} in .env is no setting; is {by_key[near[0]]} meant?")
    return found


def _key(name: str) -> str:
    """Return the name in upper case, with underscores for hyphens and dots."""
    return name.upper().replace("-", "_").replace(".", "_")

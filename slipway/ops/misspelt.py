"""Names in `.env` that are probably meant to be a setting."""

import difflib
from collections.abc import Collection

ALIKE = 0.8  # of 1.0; WEB_CONCURENCY and HTTPPORT are above it, names of the reader's own are far below


def notes(names: Collection[str], known: Collection[str]) -> list[str]:
    """One line for each name that is no setting but resembles one; others are the reader's own, and pass in silence."""
    by_key = {_key(name): name for name in known}
    found = []
    for name in sorted({*names} - {*known}):
        near = difflib.get_close_matches(_key(name), by_key, 1, ALIKE)
        if near:
            found.append(f"{name} in .env is no setting; is {by_key[near[0]]} meant?")
    return found


def _key(name: str) -> str:
    """Without what is easily mistaken: case, and hyphens and dots for underscores."""
    return name.upper().replace("-", "_").replace(".", "_")

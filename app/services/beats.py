"""The beat, a worker's status report as JSON; it is validated, since other versions and programs may send beats."""

import json
from typing import Any

LONGEST = 4_096  # characters
HIGHEST = 2**53  # exclusive; browsers can't hold larger integers exactly
SINCE_LENGTH = 40
COUNTS = ("pid", "requests", "connections", "memory")
NUMBERS = ("rate", "lag")
OPTIONAL = ("p50", "p99", "reloads")  # null where unknown; missing in beats of older versions


def parse_beat(text: str) -> dict[str, Any] | None:
    """Return a beat with all its known fields and no others, or None for an invalid one."""
    try:
        beat = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(beat, dict) or not _is_beat(beat):
        return None
    known = {name: beat[name] for name in ("slot", *COUNTS, *NUMBERS, "since")}
    return known | {name: beat.get(name) for name in OPTIONAL}


def _is_beat(beat: dict[str, Any]) -> bool:
    slot, since = beat.get("slot", ""), beat.get("since")
    return (
        (slot is None or _is_count(slot))
        and all(_is_count(beat.get(name)) for name in COUNTS)
        and all(_is_number(beat.get(name)) for name in NUMBERS)
        and all(beat.get(name) is None or _is_number(beat[name]) for name in OPTIONAL)
        and isinstance(since, str)
        and len(since) <= SINCE_LENGTH
        and since.isascii()
    )


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < HIGHEST  # a bool is an int for isinstance


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and 0 <= value < HIGHEST  # type: ignore[operator]  # false for NaN

"""The reason why a docker or compose command failed, taken from its output."""

import re

REASON = re.compile(r"error|failed|denied|refused|no such|unhealthy|not found|invalid|conflict", re.IGNORECASE)
SHOWN_LINES = 5


def engine_reason(text: str) -> str:
    """Return the last lines that name an error (at most five, each once); else the last line."""
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    return "\n  ".join([line for line in lines if REASON.search(line)][-SHOWN_LINES:] or lines[-1:])

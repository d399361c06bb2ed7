"""Why a command of docker or compose has failed, of all that it has printed."""

import re

REASON = re.compile(r"error|failed|denied|refused|no such|unhealthy|not found|invalid|conflict", re.IGNORECASE)
SHOWN_LINES = 5


def engine_reason(text: str) -> str:
    """What an engine says of a failure: the lines that name errors, each once; else the last one."""
    lines = list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    return "\n  ".join([line for line in lines if REASON.search(line)][-SHOWN_LINES:] or lines[-1:])

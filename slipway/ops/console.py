"""What the verbs print: one line per step, with the seconds that it took."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

NOTHING_RUNS = 3  # exit code, as of an init script's status


class Failure(SystemExit):
    """A verb could not do what it promises; its text says why and what to do.

    Exit codes: 1 it failed, 2 it was typed wrong, 3 nothing runs, 75 another change is under way.
    """

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(f"slipway: {text}")
        self.exit_code = exit_code


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print what is being done, and how long it took."""
    start = time.monotonic()
    sys.stdout.write(f"  {text} … ")
    sys.stdout.flush()
    try:
        yield
    except BaseException:
        say("failed")
        raise
    say(f"{time.monotonic() - start:.1f} s")


def readable(line: str) -> str:
    """A JSON log line as level and message, with the last line of its traceback; any other line as it is."""
    try:
        record = json.loads(line)
        reason = record.get("exc_info", "").rpartition("\n")[2]
        return f"{record['level']:8} {record['message']}{': ' if reason else ''}{reason}"
    except (ValueError, KeyError, AttributeError):
        return line

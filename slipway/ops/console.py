"""Output of the verbs: one line per step, with its duration in seconds."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

NOTHING_RUNS = 3  # exit code, as for `status` of an init script


class Failure(SystemExit):
    """A verb has failed; the text gives the reason and the next step.

    Exit codes: 1 failure, 2 usage error, 3 nothing runs, 75 another change is under way.
    """

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(f"slipway: {text}")
        self.exit_code = exit_code


def say(text: str) -> None:
    print(text, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Print the name of a step, then its duration."""
    start = time.monotonic()
    sys.stdout.write(f"  {text} … ")
    sys.stdout.flush()
    try:
        yield
    except BaseException:
        say("failed")
        raise
    say(f"{time.monotonic() - start:.1f} s")

"""Contains failures that must not end the process: each kind is logged once, and all are counted."""

import logging
import traceback
from collections import Counter

log = logging.getLogger("gunicorn.error")


class Faults:
    """Runs steps that must not stop the steps after them."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # by what was done and the kind of error

    def __call__(self, doing: str) -> "GuardedBlock":
        """Return a block that contains exceptions; CancelledError, SystemExit and the like pass through."""
        return GuardedBlock(self, doing)

    def failed(self, doing: str, error: Exception) -> None:
        """Count a failure, and log the first of its kind in one line that says where it was raised."""
        kind = f"{doing}: {type(error).__name__}"
        if isinstance(error, OSError) and error.strerror:
            kind = f"{kind}: {error.strerror}"
        self.counts[kind] += 1
        if self.counts[kind] == 1:
            log.error("%s failed: %s; more of this kind are not logged", doing, describe(error))


class GuardedBlock:
    """The context manager that `Faults` returns; cheaper than a generator, since each heartbeat enters some."""

    __slots__ = ("_doing", "_faults")

    def __init__(self, faults: Faults, doing: str) -> None:
        self._faults = faults
        self._doing = doing

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self._faults.failed(self._doing, error)
        return isinstance(error, Exception)


def describe(error: BaseException) -> str:
    """Return an error in one line: its type, its text, and the line of code that raised it."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({frames[-1].filename}:{frames[-1].lineno})" if frames else text

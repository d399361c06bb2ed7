"""Runs the arbiter's steps: errors are counted and logged once per kind, and the workers serve on."""

import logging
import os
import traceback
from collections import Counter
from collections.abc import Callable
from typing import ParamSpec, TypeVar

log = logging.getLogger("gunicorn.error")

MOST_KINDS = 1_000  # of errors to remember
CHILD_EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class GuardedSteps:
    """Runs steps, and contains their exceptions."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._known: set[tuple[object, ...]] = set()
        self.faults: Counter[str] = Counter()  # how often each step has failed, by step and error

    def run(
        self, what: str, step: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result | None:
        """Run one step and return its result; None if it raises."""
        try:
            return step(*args, **kwargs)
        except Exception as error:
            if os.getpid() != self._pid:
                _end_child(what)
            self._tell(what, error)
            return None

    def _tell(self, what: str, error: Exception) -> None:
        self.faults[f"{what}: {type(error).__name__}"] += 1
        place = traceback.extract_tb(error.__traceback__)[-1]
        kind = (what, type(error), getattr(error, "errno", None), place.filename, place.lineno)
        if kind not in self._known and len(self._known) < MOST_KINDS:
            self._known.add(kind)
            log.error("Failed, and goes on: %s: %s", what, error, exc_info=error)


def _end_child(what: str) -> None:
    """End a forked process whose start has raised: back in the arbiter's loop it would act as a second arbiter."""
    try:
        log.exception("A new process has failed: %s", what)
    finally:
        os._exit(CHILD_EXIT_CODE)

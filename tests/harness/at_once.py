"""Cases that each wait for a time-out of the product, run at the same time; each test then checks its own.

An exception of a case is raised in the test that asks for its result, and in no other.
"""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")

CASES = 4  # at a time: their servers mostly wait, but each of them has to start


def at_once(cases: Mapping[Name, Callable[[], Result]], limit: int = CASES) -> dict[Name, "Future[Result]"]:
    """Run each case in a thread, at most `limit` at a time; all have ended when this returns."""
    with ThreadPoolExecutor(limit) as pool:
        return {name: pool.submit(case) for name, case in cases.items()}


def coroutines_at_once(
    cases: Mapping[Name, Callable[[], Coroutine[Any, Any, Result]]], limit: int = CASES
) -> dict[Name, "Future[Result]"]:
    """Run coroutines like `at_once`, each in its own event loop, so that none delays another."""
    return at_once({name: _in_loop(case) for name, case in cases.items()}, limit)


def _in_loop(case: Callable[[], Coroutine[Any, Any, Result]]) -> Callable[[], Result]:
    return lambda: asyncio.run(case())

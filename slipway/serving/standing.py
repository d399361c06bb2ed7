"""Finds where a hanging start stands: the line of the app's own code in which it runs or waits."""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CoroutineType, FrameType

from slipway.tracebacks import is_library, shown


def watch(seconds: float, tell: Callable[[str], None], root: Path | None = None) -> threading.Timer:
    """After these seconds tell where the main thread stands; the caller cancels the returned timer after the start.

    The timer runs in a thread of its own, since the loop may be blocked.
    """
    main = threading.main_thread().ident
    timer = threading.Timer(seconds, lambda: tell(_place(main, root)))
    timer.daemon = True
    timer.start()
    return timer


def _place(main: int | None, root: Path | None) -> str:
    frame = sys._current_frames().get(main or 0)
    frames = list(_callers(frame)) if frame is not None else []
    tasks = [found for found in gc.get_objects() if isinstance(found, asyncio.Task) and not found.done()]
    waiting = [place for task in tasks for place in _awaited(task.get_coro())]
    for file, line in [*frames, *waiting]:
        if not is_library(file):
            return f"{shown(file, root)}, line {line}"
    return ""


def _callers(frame: FrameType | None) -> Iterator[tuple[str, int]]:
    """Yield file and line of each frame, the innermost first."""
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def _awaited(awaitable: object) -> list[tuple[str, int]]:
    """Return file and line of a task's chain of awaiting coroutines, the innermost first."""
    found: list[tuple[str, int]] = []
    while awaitable is not None:
        frame = getattr(awaitable, "cr_frame", None) or getattr(awaitable, "ag_frame", None)
        frame = frame or getattr(awaitable, "gi_frame", None)
        if frame is not None:
            found.append((frame.f_code.co_filename, frame.f_lineno))
        inner = awaitable.cr_await if isinstance(awaitable, CoroutineType) else None
        awaitable = inner or getattr(awaitable, "ag_await", None) or getattr(awaitable, "gi_yieldfrom", None)
    return found[::-1]

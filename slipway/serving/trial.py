"""Runs a function in a fork: it begins with all modules that are loaded here, and leaves no changes behind."""

import json
import logging
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

LAST_STANDARD = 2  # the descriptor of stderr


def ask(answer: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Return the function's result, passed as JSON; an exception or a death is an `error`. Raises TimeoutError.

    The process is always killed at the end: an import may have started anything.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        _reply(answer, writer)
    os.close(writer)
    try:
        text = _read_line(reader, time.monotonic() + seconds)
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    if text is None:
        raise TimeoutError(f"it has not ended within {seconds:.1f} s")
    reply: dict[str, Any] = json.loads(text) if text else {"error": "its process has died"}
    return reply


def _reply(answer: Callable[[], dict[str, Any]], writer: int) -> NoReturn:
    try:
        _let_go(writer)
        reply = answer()
    except BaseException as error:  # whatever an app may raise
        reply = {"error": f"{type(error).__name__}: {error}"}
    try:
        os.write(writer, json.dumps(reply).encode() + b"\n")
    finally:
        os._exit(0)  # no exit handlers, and no wait for threads


def _let_go(but: int) -> None:
    """Point all other descriptors to /dev/null: this process must write to no log, and hold no lock or socket.

    The numbers stay in use: a late write to one must not reach a file that the app opens.
    """
    logging.disable()
    null = os.open(os.devnull, os.O_RDWR)
    for path in [*Path("/proc/self/fd").iterdir()]:
        number = int(path.name)
        if number not in (but, null) and path.exists():  # the one by which the folder was read is closed
            os.dup2(null, number, inheritable=number <= LAST_STANDARD)


def _read_line(reader: int, deadline: float) -> bytes | None:
    """Return a line, or b"" if the writer has died; None if neither happens in time."""
    poll, text = select.poll(), b""
    poll.register(reader, select.POLLIN)
    while not text.endswith(b"\n"):
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            return None
        if not (piece := os.read(reader, 1 << 16)):
            return b""
        text += piece
    return text

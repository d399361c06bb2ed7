"""A trial in a forked process answers in time, and leaves nothing behind."""

import fcntl
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from slipway.serving.trial import ask
from tests.harness.processes import children

SECONDS = 30.0


def test_its_answer_comes_back() -> None:
    """The answer is returned as JSON has it, even if it is longer than a pipe."""
    long = [str(number) for number in range(50_000)]

    assert ask(lambda: {"pid": os.getpid(), "names": long}, SECONDS)["names"] == long
    assert ask(lambda: {"pid": os.getpid()}, SECONDS)["pid"] != os.getpid()


def leave() -> NoReturn:
    raise SystemExit(3)


def die() -> NoReturn:
    os._exit(1)


@pytest.mark.parametrize(("answer", "error"), [(leave, "SystemExit: 3"), (die, "its process has died")])
def test_what_it_raises_is_its_answer(answer: Callable[[], dict[str, Any]], error: str) -> None:
    """An error of the trial, or the death of its process, is its answer."""
    assert ask(answer, SECONDS) == {"error": error}


def test_one_that_hangs_is_ended() -> None:
    """A trial that hangs is killed as soon as its time is over."""
    before = children(os.getpid())

    def hang() -> dict[str, Any]:
        time.sleep(600)
        return {}

    with pytest.raises(TimeoutError, match=r"has not ended within 0.5 s"):
        ask(hang, 0.5)

    assert children(os.getpid()) == before


def test_what_it_starts_is_not_waited_for() -> None:
    """A process that the trial forks keeps the pipe open and is not waited for."""

    def fork() -> dict[str, Any]:
        if os.fork() == 0:
            time.sleep(10)
            os._exit(0)
        return {}

    began = time.monotonic()

    assert ask(fork, SECONDS) == {}
    assert time.monotonic() - began < 8


def test_nothing_is_kept_open_and_nothing_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A trial keeps no file open, such as a lock of the arbiter, and writes nothing, such as the app's first lines."""

    def look() -> dict[str, Any]:
        print("said")
        os.write(2, b"written")
        logging.getLogger("app").critical("logged")
        places = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.exists()]
        return {"open": sorted({place for place in places if place.startswith(str(tmp_path))})}

    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert ask(look, SECONDS) == {"open": []}
    assert capfd.readouterr() == ("", "")

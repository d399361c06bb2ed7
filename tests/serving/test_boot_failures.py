"""The arbiter ends if the app can't be loaded by the first worker that tries."""

import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.errors import HaltServer

from slipway.serving import child_processes
from slipway.serving.arbiter import Arbiter


def arbiter(pids: list[int]) -> Any:
    """Return the parts of an arbiter that it needs when workers end."""
    steps = SimpleNamespace(run=lambda name, step, *arguments: None)
    service = SimpleNamespace(steps=steps, has_been_ready=False)
    return SimpleNamespace(
        WORKERS=dict.fromkeys(pids), reexec_pid=0, dirty_arbiter_pid=0, service=service, _stopping=False, _forget=None
    )


@pytest.mark.parametrize("first", [signal.SIGKILL, 1 << 8, 0], ids=["killed", "another code", "clean"])
def test_boot_failure_beside_another_end(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    """A failure to load the app ends the server, whatever other worker's end is reaped with it."""

    def ended() -> Iterator[tuple[int, int]]:
        yield 1, first
        yield 2, Arbiter.APP_LOAD_ERROR << 8

    monkeypatch.setattr(child_processes, "ended", ended)
    with pytest.raises(HaltServer) as caught:
        Arbiter.reap_workers(arbiter([1, 2]))

    assert caught.value.exit_status == Arbiter.APP_LOAD_ERROR

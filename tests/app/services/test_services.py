"""The services of a worker: each part is closed, whatever closing the others does."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app.config import AppSettings
from app.services import open_services
from app.services.embedded_bus import EmbeddedBus
from app.services.monitor import Monitor
from app.services.users import ThreadedUsers

SECONDS = 8.0  # gunicorn kills a worker that takes longer


class Counted:
    total = 0
    active = 0
    reloads = None

    def durations(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return (), ()


async def raises(*_: Any) -> None:
    raise ValueError("out of the blue")


async def hangs(*_: Any) -> None:
    await asyncio.sleep(3_600)


async def hangs_on(*_: Any) -> None:
    """Ignore cancellation for 6 s."""
    end = time.monotonic() + 6
    while time.monotonic() < end:
        try:
            await asyncio.sleep(end - time.monotonic())
        except asyncio.CancelledError:
            continue


async def is_cancelled(*_: Any) -> None:
    raise asyncio.CancelledError


FAULTS = [raises, hangs, hangs_on, is_cancelled]
CLOSING = {EmbeddedBus: "stop", ThreadedUsers: "close"}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("kind", "name"), [(Monitor, "run"), *CLOSING.items()], ids=lambda value: getattr(value, "__name__", value)
)
async def test_each_part_is_closed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: type, name: str, fault: Callable[..., Awaitable[None]]
) -> None:
    """However closing one part fails, the others are closed, in bounded time."""
    closed: list[object] = []
    close = {part: getattr(part, method) for part, method in CLOSING.items()}
    for part, method in CLOSING.items():
        monkeypatch.setattr(part, method, recorded(closed, close[part]))
    monkeypatch.setattr(kind, name, fault)
    settings = AppSettings.from_environment({"DATA_DIR": str(folder)})
    start = time.monotonic()
    async with open_services(settings, Counted(), asyncio.Event()) as services:
        await asyncio.sleep(0)
    seconds = time.monotonic() - start
    for one in (services.bus, services.users):
        if isinstance(one, kind):
            await close[kind](one)  # release what the fault left open

    assert seconds < SECONDS
    assert {type(one) for one in closed} == set(CLOSING) - {kind}


def recorded(closed: list[object], close: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
    async def closing(self: Any) -> None:
        closed.append(self)
        await close(self)

    return closing


async def test_failure_of_a_part_is_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the part that was not closed, and the reason."""
    monkeypatch.setattr(ThreadedUsers, "close", raises)
    async with open_services(AppSettings.from_environment({"DATA_DIR": str(folder)}), Counted(), asyncio.Event()):
        pass

    (record,) = [record for record in caplog.records if record.name == "app.services"]
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "the database was not closed")
    assert record.exc_info


async def test_failure_inside_is_passed_on(folder: Path) -> None:
    """An error while the services are in use is raised after all of them are closed."""
    before = asyncio.all_tasks()
    with pytest.raises(ZeroDivisionError):
        async with open_services(AppSettings.from_environment({"DATA_DIR": str(folder)}), Counted(), asyncio.Event()):
            raise ZeroDivisionError

    assert asyncio.all_tasks() == before


async def test_start_without_room_for_a_socket(folder: Path) -> None:
    """A data folder that can't be created makes the worker not ready, and is used as soon as it can be created."""
    obstacle = folder / "data"
    obstacle.touch()
    settings = AppSettings.from_environment({"DATA_DIR": str(obstacle)})
    async with open_services(settings, Counted(), asyncio.Event()) as services:
        assert (await services.check())["bus"] == "fail"
        obstacle.unlink()
        async with asyncio.timeout(SECONDS):
            while (await services.check())["bus"] != "pass":  # noqa: ASYNC110 (what is waited for has no event)
                await asyncio.sleep(0.05)

"""nginx follows the app and its own files: both programs that run nginx notice a change within two seconds."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.harness.client import request
from tests.harness.edge import Edge, Runner, answers, says, slots
from tests.harness.processes import children, pause, running, short_folder, until
from tests.harness.walks import walk

NOTICED_SECONDS = 4.0  # the program checks once a second, and a reload takes a moment on a busy machine
OTHER = says(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.fixture(params=["python", "sh"])
async def edge(request: pytest.FixtureRequest) -> AsyncIterator[Edge]:
    """nginx, started before there is a slot."""
    runner: Runner = request.param
    with short_folder() as folder:
        edge = Edge(folder, runner=runner, watched=[f"{folder}/slots*.conf", f"{folder}/nginx/*.conf"])
        with running(edge):
            yield edge


def workers(edge: Edge) -> set[int]:
    """Return the pids of nginx's workers; replaced ones accept connections until they are told to end."""
    return {*children(edge.master)}


async def status(edge: Edge) -> int:
    return (await request(edge.address, "GET", "/")).status


async def soon(edge: Edge, wanted: int) -> None:
    """Wait until requests are answered with this status."""
    async with asyncio.timeout(NOTICED_SECONDS):
        while await status(edge) != wanted:
            await pause()


async def test_first_slot_is_noticed(edge: Edge) -> None:
    """An nginx started before the app answers 502, and then like the app."""
    assert await status(edge) == 502

    async with slots(edge.folder, [answers]):
        await soon(edge, 200)


async def test_other_slots_are_noticed(edge: Edge) -> None:
    """An app that is published elsewhere is found, and one that is removed is no longer asked."""
    async with slots(edge.folder, [answers]):
        await soon(edge, 200)
    async with slots(edge.folder, [OTHER]):
        await soon(edge, 404)
    (edge.folder / "slots.conf").unlink()
    await soon(edge, 502)


SAME: dict[str, Callable[[Path], object]] = {
    "touched": Path.touch,
    "written": lambda path: path.write_text(path.read_text()),
}


@pytest.mark.parametrize("same", walk(SAME, "written"))
async def test_the_same_content_is_no_change(edge: Edge, same: Callable[[Path], object]) -> None:
    """Slots rewritten without a change, as by a deploy, cause no reload, which costs requests on an older nginx."""
    first = workers(edge)
    async with slots(edge.folder, [answers]):
        await soon(edge, 200)
        await until(lambda: not first & workers(edge), 10)
        before = workers(edge)
        same(edge.folder / "slots.conf")
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            assert await status(edge) == 200
            await pause()

    assert workers(edge) == before


async def test_wrong_file_is_told_and_what_served_serves(edge: Edge) -> None:
    """With a wrong file, the old configuration stays in service until the file is right again."""
    first = workers(edge)
    async with slots(edge.folder, [answers]):
        await soon(edge, 200)
        await until(lambda: not first & workers(edge), 10)
        right = (edge.folder / "slots.conf").read_text()
        (edge.folder / "slots.conf").write_text("nonsense on purpose;\n")
        async with asyncio.timeout(NOTICED_SECONDS):
            while not edge.logged("nonsense"):
                assert await status(edge) == 200

        assert await status(edge) == 200
    (edge.folder / "slots.conf").write_text(right)
    async with slots(edge.folder, [OTHER]):
        await soon(edge, 404)


async def test_it_ends_with_nginx(edge: Edge) -> None:
    """Watching for changes delays nothing: when stopped, the program ends within two seconds with nginx's exit code."""
    begun = time.monotonic()
    code = await asyncio.to_thread(edge.stop, signal.SIGQUIT)

    assert code == 0
    assert time.monotonic() - begun < 2

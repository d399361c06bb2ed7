"""What nginx repeats: safe requests whose connection broke before an answer, and requests that were never sent."""

import asyncio
from pathlib import Path

import pytest

from tests.harness.client import request
from tests.harness.edge import ANSWER, Behaviour, Edge, answers, breaks, exchange, first, message, says, silent, slots
from tests.harness.processes import running
from tests.harness.stack import behind_nginx, serving
from tests.live.sites import Site, source

PROBLEM = "application/problem+json"
SAFE = ["GET", "HEAD", "OPTIONS"]  # nginx itself refuses TRACE
UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "LOCK", "PROPFIND", "MKCOL", "SEARCH"]


def body_of(method: str) -> bytes:
    return b"" if method in SAFE else b"body"


@pytest.mark.parametrize("method", SAFE + UNSAFE)
async def test_request_that_breaks_its_connection(folder: Path, method: str) -> None:
    """With six workers that die of it, a safe request is sent to two, any other to one, and then answered with 502."""
    async with slots(folder, [breaks] * 6) as served:
        with running(Edge(folder)) as edge:
            answer = await exchange(edge.address, message(method, "/", body_of(method)), no_body=method == "HEAD")

    assert sum(len(slot.heads) for slot in served) == (2 if method in SAFE else 1)
    assert (answer.status, answer.fields["content-type"]) == (502, PROBLEM)


@pytest.mark.parametrize("method", SAFE)
async def test_second_attempt_is_the_answer(folder: Path, method: str) -> None:
    """A safe request whose worker dies of something else is answered by another."""
    async with slots(folder, [first(1, breaks, answers)] * 3) as served:
        with running(Edge(folder)) as edge:
            answer = await exchange(edge.address, message(method), no_body=method == "HEAD")

    assert answer.status == 200
    assert sum(len(slot.heads) for slot in served) == 2


BEGUN = {
    "half a status line": b"HTTP/1.1 2",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "too large a head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("data", BEGUN.values(), ids=BEGUN)
async def test_answer_that_began_is_not_asked_for_again(folder: Path, data: bytes) -> None:
    """A request is not repeated once a worker has sent some of its answer."""
    async with slots(folder, [says(data)] * 3) as served:
        with running(Edge(folder)) as edge:
            answer = await exchange(edge.address, message("GET"))

    assert sum(len(slot.heads) for slot in served) == 1
    assert (answer.status, answer.fields["content-type"]) == (502, PROBLEM)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_answers_of_the_app_pass(folder: Path, method: str, status: int) -> None:
    """An error that the app has answered passes unchanged, and the request is sent once."""
    own = b"HTTP/1.1 %d Own\r\nContent-Type: text/own\r\nContent-Length: 3\r\n\r\nown" % status
    async with slots(folder, [says(own)] * 3) as served:
        with running(Edge(folder)) as edge:
            answer = await exchange(edge.address, message(method, "/", body_of(method)))

    assert (answer.status, answer.fields["content-type"], answer.body) == (status, "text/own", b"own")
    assert sum(len(slot.heads) for slot in served) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_time_is_no_reason_to_ask_again(folder: Path, method: str) -> None:
    """A request that takes longer than PROXY_READ_TIMEOUT is sent to one worker, and gets a 504."""
    async with slots(folder, [silent] * 4) as served:
        with running(Edge(folder, read_timeout=1)) as edge:
            answer = await exchange(edge.address, message(method, "/", body_of(method)))

    assert sum(len(slot.heads) for slot in served) == 1
    assert (answer.status, answer.fields["content-type"]) == (504, PROBLEM)


async def test_second_attempt_has_the_same_limit(folder: Path) -> None:
    """A GET whose second attempt takes too long gets a 504 with problem details, and is not sent a third time."""
    async with slots(folder, [first(1, breaks, silent)] * 4) as served:
        with running(Edge(folder, read_timeout=1)) as edge:
            answer = await exchange(edge.address, message("GET"))

    assert sum(len(slot.heads) for slot in served) == 2
    assert (answer.status, answer.fields["content-type"]) == (504, PROBLEM)


async def test_silent_stream_is_cut(folder: Path) -> None:
    """A stream that is silent for longer than the limit is cut; one that beats is not."""
    start = b"HTTP/1.1 200 OK\r\nX-Accel-Buffering: no\r\nTransfer-Encoding: chunked\r\n\r\n"

    def stream(beats: int) -> Behaviour:
        async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(start)
            for _ in range(beats):
                await asyncio.sleep(0.4)
                writer.write(b"2\r\n:\n\r\n")
            await silent(reader, writer)

        return behaviour

    async with slots(folder, [stream(5)]):
        with running(Edge(folder, read_timeout=1)) as edge:
            reader, writer = await asyncio.open_connection(*edge.address)
            writer.write(message("GET"))
            data = await asyncio.wait_for(reader.read(), 10)
            writer.close()

    assert data.count(b"2\r\n:\n\r\n") == 5
    assert not data.endswith(b"0\r\n\r\n")


def without_listener(folder: Path, count: int) -> list[Path]:
    """Return slots that lead nowhere: no file, a link to none, a socket file that has outlived its listener."""
    paths = [folder / f"gone-{number}.sock" for number in range(count)]
    for number, path in enumerate(paths):
        if number % 3 == 1:
            path.symlink_to(folder / "old-0.sock")
        elif number % 3 == 2:
            path.touch()
    return paths


@pytest.mark.parametrize("method", SAFE + UNSAFE)
@pytest.mark.parametrize(("gone", "live"), [(1, 3), (3, 3), (4, 4)])
async def test_slots_without_a_listener(folder: Path, method: str, gone: int, live: int) -> None:
    """While some slots have no listener, as in a change of containers, each request is answered by one worker."""
    data = message(method, "/", body_of(method))
    async with slots(folder, [answers] * live, without_listener(folder, gone)) as served:
        with running(Edge(folder)) as edge:
            asked = [exchange(edge.address, data, no_body=method == "HEAD") for _ in range(40)]
            statuses = [answer.status for answer in await asyncio.gather(*asked)]

    assert statuses == [200] * 40
    assert sum(len(slot.heads) for slot in served) == 40


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("gone", [1, 12])
async def test_no_listener_at_all(folder: Path, method: str, gone: int) -> None:
    """Where nothing listens, the answer is an immediate 502 with problem details."""
    async with slots(folder, [], without_listener(folder, gone)):
        with running(Edge(folder)) as edge:
            answer = await exchange(edge.address, message(method, "/", body_of(method)))

    assert (answer.status, answer.fields["content-type"]) == (502, PROBLEM)


async def test_body_is_whole_in_the_second_attempt(folder: Path) -> None:
    """A POST whose first slot has no listener reaches another with all of its body."""
    body = b"x" * 900
    got = []

    async def reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readexactly(len(body)))
        writer.write(ANSWER)

    async with slots(folder, [reads], without_listener(folder, 3)):
        with running(Edge(folder)) as edge:
            statuses = [(await exchange(edge.address, message("POST", "/", body))).status for _ in range(8)]

    assert statuses == [200] * 8
    assert got == [body] * 8


async def test_get_that_kills_its_worker(site: Site, tmp_path: Path) -> None:
    """One GET whose handler kills its worker costs two workers of six; then it is a 502, and the others serve."""
    killed = tmp_path / "killed"
    site.write(
        source(
            body=f"import os\n    if scope['path'] == '/kill': "
            f"open({str(killed)!r}, 'a').write(f'{{os.getpid()}} '); os.kill(os.getpid(), 9)"
        )
    )
    with serving(site.name, workers=6, **site.options) as server, behind_nginx(server) as proxy:
        for _ in range(12):  # so that there are kept connections to all
            assert (await request(proxy.address, "GET", "/")).status == 200
        answer = await request(proxy.address, "GET", "/kill")
        after = await request(proxy.address, "GET", "/")

    assert len(set(killed.read_text().split())) == len(killed.read_text().split()) == 2
    assert (answer.status, answer.headers["content-type"]) == (502, PROBLEM)
    assert after.status == 200

"""nginx's private and silent paths are those of `[tool.slipway]`, whatever characters they contain."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from slipway.ops import wait
from slipway.ops.nginx_text import alternatives
from slipway.project import PATH, Project
from tests.harness.edge import Edge, answers, exchange, message, slots
from tests.harness.processes import running, short_folder

# Every printable character allowed in a path; some are special to nginx, regular expressions, shells or compose.
EVERY = [
    f"/a{chr(code)}b"
    for code in range(0x21, 0x7F)
    if PATH.fullmatch(chr(code) * 2 if code == 0x2F else f"/{chr(code)}")
]
PATHS = [
    "/metrics",
    "/internal/metrics",
    "/up.json",
    "/${SOCKET_DIR}",
    "/$uri",
    "/a{2}",
    "/(?i)x",
    "/[a-z]*",
    "/.*",
    "/a;return 200;",
    '/"; } location / { return 200; }',
    "/a\\z",
    "/a|/b",
    *EVERY,
]
PATHS = [path for path in dict.fromkeys(PATHS) if PATH.fullmatch(path)]


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    """nginx with all these paths private."""
    with short_folder() as folder:
        (folder / "slots.conf").touch()
        project = Project("own:app", private_paths=tuple(PATHS))
        with running(Edge(folder, project=project)) as started:
            yield started


def request(path: str) -> bytes:
    return message("GET", quote(path, safe="/"))


async def status(edge: Edge, path: str) -> int:
    return (await exchange(edge.address, request(path))).status


def test_every_character_is_tried() -> None:
    """The paths have every character allowed in the table, and nginx's pattern of them escapes each special one."""
    assert {char for path in EVERY for char in path} == {chr(code) for code in range(0x21, 0x7F)} - {"?", "#"}
    assert set(alternatives(PATHS)) <= set("|/\\-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


async def test_private_paths_are_not_passed_on(edge: Edge) -> None:
    """Each private path is a 404, however many there are; without a worker any other path is a 502."""
    found = {path: await status(edge, path) for path in PATHS}

    assert found == dict.fromkeys(PATHS, 404)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/up",
        "/metricsx",
        "/metrics/",
        "/x/metrics",
        "/METRICS",
        "/up_json",
        "/aa",
        "/a",
        "/internal",
        "/metrics\n",
    ],
)
async def test_paths_beside_them_are(edge: Edge, path: str) -> None:
    """Only the exact path is private: no part of it, no longer one, no other case."""
    assert await status(edge, path) == 502


@pytest.mark.parametrize("target", ["//metrics", "/%6detrics", "/x/../metrics", "/./metrics", "/metrics?a=1"])
async def test_no_other_way_of_writing_them(edge: Edge, target: str) -> None:
    """The decoded and normalised path is compared."""
    assert (await exchange(edge.address, message("GET", target))).status == 404


async def test_health_paths_are_silent_and_nothing_else() -> None:
    """nginx records every answer of a worker, except to the table's health paths."""
    loud = {"/readyz", "/livez", "/upxnow", "/up/", "/UP", "/loud"}
    with short_folder() as folder:
        async with slots(folder, [answers]):
            with running(Edge(folder, project=Project("own:app", health_paths=("/up", "/up.now", "/a|b")))) as edge:
                for path in ("/up", "/up.now", "/a|b", *loud):
                    assert await status(edge, path) == 200

                def uris() -> set[str]:
                    return {record["path"] for record in edge.records() if "path" in record}

                assert wait.until(lambda: loud <= uris(), 10)
                assert not {"/up", "/up.now", "/a%7Cb"} & uris()


async def test_no_paths_at_all() -> None:
    """Without a table of paths nothing is private or silent, and malformed requests are recorded."""
    with short_folder() as folder:
        async with slots(folder, [answers]):
            with running(Edge(folder, project=Project("own:app"))) as edge:
                for path in ("/metrics", "/livez", "/", "/last"):
                    assert await status(edge, path) == 200
                assert (await exchange(edge.address, b"GET / HTTP/1.1\r\n\r\n")).status == 400

                def seen() -> set[tuple[str, int]]:
                    return {(record["path"], record["status"]) for record in edge.records() if "path" in record}

                assert wait.until(lambda: len(seen()) == 5, 10), seen()

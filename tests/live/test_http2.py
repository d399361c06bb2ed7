"""HTTP/2 by RFC 9113 and RFC 7541, frame by frame, against nginx: in place of h2spec, which is in no registry."""

from collections.abc import Iterator

import pytest

from tests.harness.client import request
from tests.harness.stack import Nginx, Server, behind_nginx
from tests.live import http2_frames as frames
from tests.live.http2_frames import PREFACE, WINDOW_UPDATE, connected, frame, number, setting, talk
from tests.live.http2_messages import CASES, DEPARTURES

pytestmark = pytest.mark.suite


@pytest.fixture(scope="module")
def edge(mirror: Server) -> Iterator[Nginx]:
    """The nginx before the mirror app, with HTTPS."""
    with behind_nginx(mirror, https=True) as proxy:
        yield proxy


@pytest.mark.parametrize("name", CASES)
async def test_conformance(edge: Nginx, name: str) -> None:
    """Correct input is accepted; wrong input ends the stream or the connection with its code, and nothing else."""
    case = CASES[name]
    seen = await talk(edge.https_port, case.data, preface=case.preface, streams=case.streams)
    right = DEPARTURES.get(name, case.right)

    assert right(seen), seen
    assert (await request(edge.address, "GET", "/after")).status == 200


async def test_no_more_than_the_window(edge: Nginx) -> None:
    """A client with a window of one byte gets one byte, and the rest when it opens the window (section 6.9.2)."""
    async with connected(edge.https_port) as peer:
        peer.send(PREFACE + setting((4, 1)) + frames.request())
        await peer.read_until(lambda seen: bool(seen.bodies))
        first = dict(peer.seen.bodies)
        peer.send(frame(WINDOW_UPDATE, 0, 1, number(10_000)))
        await peer.read_until(lambda seen: 1 in seen.ended)

    assert first == {1: 1}
    assert peer.seen.bodies[1] > 1


def test_the_table_is_long() -> None:
    """The table has at least 110 cases."""
    assert len(CASES) >= 110

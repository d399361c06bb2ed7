"""Autobahn's test suite for websockets: each case against an echo behind nginx, and on the worker's own socket.

The suite itself (autobahntestsuite) needs Python 2; kosoku runs its cases. 9.* are limits, 12.* and 13.* compression.
"""

import asyncio
import re
from collections.abc import Iterator

import pytest
from kosoku import FailureError, run_fuzzingclient

from slipway.serving.worker import Worker
from tests.harness.stack import behind_nginx, serving

pytestmark = [
    pytest.mark.suite,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # the cases leave files open
]

MIRROR = "tests.live.mirror:application"
CASES = 517
LIMIT = int(Worker.CONFIG_KWARGS["ws_max_size"])
SIZE = re.compile(r"(\d+) \* 2\*\*(\d+)")  # a message's size in a case's description
TOO_LARGE = 1009
PASSED = ("OK", "NON-STRICT", "INFORMATIONAL")
Result = tuple[str, str, int | None, str]  # behaviour, behaviour at the close, server's close code, description


@pytest.fixture(scope="module", params=["behind nginx", "worker"])
def results(request: pytest.FixtureRequest) -> Iterator[dict[str, Result]]:
    """The result of each case, by its number."""
    if request.param == "worker":
        with serving(MIRROR, slots="tcp") as server:
            yield run(f"ws://{server.address()[0]}:{server.address()[1]}/ws/echo")
    else:
        with serving(MIRROR) as server, behind_nginx(server) as nginx:
            yield run(f"ws://127.0.0.1:{nginx.port}/ws/echo")


def run(url: str) -> dict[str, Result]:
    try:
        found = asyncio.run(run_fuzzingclient(url, concurrency=4))
    except FailureError as failure:
        found = failure.results
    return {
        case.case_id: (case.behavior.value, case.behavior_close.value, case.remote_close_code, case.description)
        for case in found
    }


def chosen(results: dict[str, Result], *, limits: bool = False, compression: bool = False) -> dict[str, Result]:
    """Return the cases of one kind: too large for the server, in need of compression, or all others."""

    def is_chosen(number: str, description: str) -> bool:
        size = SIZE.search(description)
        too_large = number.startswith("9.") and bool(size and int(size[1]) << int(size[2]) > LIMIT)
        return (too_large, number.startswith(("12.", "13."))) == (limits, compression)

    return {number: result for number, result in results.items() if is_chosen(number, result[-1])}


def test_all_cases_have_run(results: dict[str, Result]) -> None:
    """All cases have run: framing, pings, reserved bits, opcodes, fragments, UTF-8, closes, limits, compression."""
    assert len(results) == CASES
    assert len(chosen(results)) >= 277


def test_protocol(results: dict[str, Result]) -> None:
    """Each case with messages up to the server's limit passes, most of them strictly."""
    rest = chosen(results)
    failed = {number: result for number, result in rest.items() if result[0] not in PASSED or result[1] not in PASSED}

    assert failed == {}
    assert sum(result[:2] == ("OK", "OK") for result in rest.values()) >= 255


def test_messages_above_the_limit(results: dict[str, Result]) -> None:
    """Messages above the limit, whole or in fragments, close the connection with 1009."""
    assert {result[2] for result in chosen(results, limits=True).values()} == {TOO_LARGE}


def test_compression_is_not_agreed_to(results: dict[str, Result]) -> None:
    """An offer of compression is declined, since it costs 40 KiB per connection; the connection works without it."""
    assert {result[:3] for result in chosen(results, compression=True).values()} == {("UNIMPLEMENTED", "OK", 1000)}

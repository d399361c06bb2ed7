"""Fixtures of the tests that run the real servers.

Rules: traffic stays on 127.0.0.1 and unix sockets; every wait has an end; tests end only what they have started;
faults are real signals and real processes. The full-size forms are in tests/promises/.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.stack import Nginx, Server, behind_nginx, serving
from tests.harness.talking import Pipe, write_app
from tests.live.sites import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A small app that the test may break."""
    return Site(tmp_path)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The shipped app with four workers in slots of unix sockets, one server for all tests of a module."""
    with serving(workers=4) as started:
        yield started


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Nginx]:
    """The nginx before that server."""
    with behind_nginx(server) as started:
        yield started


@pytest.fixture
def options(site: Site, tmp_path: Path) -> dict[str, Any]:
    """The settings of a server whose app logs in every possible way."""
    write_app(tmp_path)
    return site.options


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe for a server's output."""
    made = Pipe()
    yield made
    made.close()


@pytest.fixture(scope="module")
def mirror() -> Iterator[Server]:
    """The mirror app in one worker, so that all requests share its connections."""
    with serving("tests.live.mirror:application", workers=1, PRESTART="none") as server:
        yield server

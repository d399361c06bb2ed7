"""Fixtures for the tests of the examples; each module has its own `stack`."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.ops.conftest import Verbs


@pytest.fixture(params=["http", "https"])
async def client(request: pytest.FixtureRequest, stack: Verbs) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the stack that keeps cookies; it does not verify the stack's own certificate."""
    port = stack.port if request.param == "http" else stack.https_port
    async with httpx.AsyncClient(base_url=f"{request.param}://127.0.0.1:{port}", verify=False) as client:
        yield client

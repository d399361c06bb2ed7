"""Each test of this folder runs against every stack, which is started once."""

from collections.abc import AsyncIterator, Generator

import pytest
import pytest_asyncio

from tests.app.contract.stacks import STACKS, Stack, started


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=STACKS, ids=lambda kind: kind.name)
async def stack(request: pytest.FixtureRequest) -> AsyncIterator[Stack]:
    async with started(request.param) as stack:
        yield stack


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the server wrote when a test fails."""
    report = yield
    served = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(served, Stack):
        report.sections.append((f"log of {served.name}", served.log[-6_000:]))
    return report

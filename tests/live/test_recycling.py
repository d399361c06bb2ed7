"""Workers are replaced after so many requests or so much memory, and no client notices."""

import pytest

from tests.harness.stack import APP
from tests.promises.endurance import LEAKING
from tests.promises.scenarios import recycle


@pytest.mark.parametrize(
    ("app", "limits"),
    [(APP, {"MAX_REQUESTS": "100"}), (LEAKING, {"MAX_WORKER_MEMORY": str(110 << 20)})],
    ids=["requests", "memory"],
)
async def test_recycling(app: str, limits: dict[str, str]) -> None:
    """2,000 requests to workers that are replaced after 100 and up to 50 more, or at 110 MiB with a leak: none lost."""
    report, replaced = await recycle(2_000, 4, app, **limits)

    print(f"{report.total} requests, {replaced} workers replaced, lost: {dict(report.lost)}")
    assert not report.lost

"""Quantiles of a growing histogram, over the last half minute."""

import pytest

from app.services.latency import Latencies, quantile

LIMITS = (0.01, 0.1, 1.0)


@pytest.mark.parametrize(
    ("share", "counts", "expected"),
    [
        (0.5, (0, 0, 0, 0), None),
        (0.5, (), None),
        (0.5, (10, 0, 0, 0), 0.005),
        (0.5, (0, 10, 0, 0), 0.055),
        (0.99, (99, 0, 1, 0), 0.01),
        (0.99, (98, 0, 2, 0), 0.55),
        (0.99, (0, 0, 0, 3), 1.0),
        (0.5, (1, 0, 0, 0), 0.005),
    ],
)
def test_quantile(share: float, counts: tuple[float, ...], expected: float | None) -> None:
    """A quantile is interpolated within its bucket; above the highest limit it is that limit, without values None."""
    assert quantile(share, LIMITS, counts) == pytest.approx(expected)


def test_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values older than half a minute do not count and are not kept."""
    seen = {0.0: 5.0, 2.0: 7.0, 29.0: 8.0, 32.5: 8.0, 100.0: 9.0, 102.0: 9.0, 200.0: 9.0}
    now = iter(seen)
    monkeypatch.setattr("app.services.latency.time.monotonic", lambda: next(now))
    latencies = Latencies()
    taken = [latencies.take((count,)) for count in seen.values()]

    assert taken == [(5.0,), (7.0,), (8.0,), (1.0,), (1.0,), (1.0,), (0.0,)]
    assert len(latencies.seen) <= 3

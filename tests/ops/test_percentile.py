"""The percentile of single values."""

import math

from slipway.ops.percentile import percentile


def test_nearest_rank() -> None:
    """A percentile is one of the values, never a mean, whatever their order."""
    assert [percentile(range(100, 0, -1), percent) for percent in (0, 1, 50, 99, 99.5, 100)] == [1, 1, 50, 99, 100, 100]
    assert percentile([7.0], 1) == 7.0


def test_there_is_none_of_nothing() -> None:
    """The percentile of no values is NaN, not zero."""
    assert math.isnan(percentile([], 99))

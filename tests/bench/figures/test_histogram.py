"""Percentiles are those of the recorded values, and histograms can be added."""

import math
import random

import pytest

from bench.figures.histogram import Histogram, merged, three_digits


def histogram_of(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def test_a_percentile_is_the_nearest_rank() -> None:
    histogram = histogram_of([float(value) for value in range(1, 101)])

    assert [histogram.percentile(p) for p in (1, 50, 90, 99, 100)] == [1, 50, 90, 99, 100]


def test_p95_is_not_p99() -> None:
    histogram = histogram_of([1.0] * 960 + [50.0] * 40)

    assert (histogram.percentile(95), histogram.percentile(99)) == (1, 50)


def test_percentiles_are_within_half_a_percent_of_the_exact_ones() -> None:
    chance = random.Random(1)
    values = sorted(chance.lognormvariate(0, 2) for _ in range(20_000))

    histogram = histogram_of(values)

    for percent in (50, 90, 99, 99.9):
        exact = values[int(percent / 100 * len(values)) - 1]
        assert histogram.percentile(percent) == pytest.approx(exact, rel=0.006)


def test_merging_is_the_same_as_recording_all_in_one() -> None:
    chance = random.Random(2)
    values = [chance.expovariate(1) for _ in range(3_000)]

    parts = [histogram_of(values[start::3]) for start in range(3)]

    assert merged(parts).as_dict() == histogram_of(values).as_dict()


def test_merged_percentiles_are_not_the_average_of_percentiles() -> None:
    fast, slow = histogram_of([1.0] * 99), histogram_of([100.0])

    assert merged([fast, slow]).percentile(50) == 1


def test_a_histogram_survives_json() -> None:
    histogram = histogram_of([0.0312, 1.234, 1234.5])

    assert Histogram(histogram.as_dict()).as_dict() == histogram.as_dict()


def test_a_percentile_needs_a_hundred_values_beyond_it() -> None:
    assert histogram_of([1.0] * 10_000).supports(99)
    assert not histogram_of([1.0] * 9_999).supports(99)


def test_the_interval_of_a_percentile_holds_it_in_95_percent_of_samples() -> None:
    """The interval comes from order statistics, so it holds for any distribution."""
    chance = random.Random(2)

    def holds() -> bool:
        low, high = histogram_of([chance.expovariate(0.1) for _ in range(2_000)]).interval(90)
        return low <= three_digits(10 * math.log(10)) <= high

    assert 180 <= sum(holds() for _ in range(200)) <= 199


@pytest.mark.parametrize("values", [[], [3.0]])
def test_the_interval_of_few_values(values: list[float]) -> None:
    """The interval of a single value is that value, and without values it is NaN."""
    low, high = histogram_of(values).interval(99)

    assert (low, high) == (3.0, 3.0) if values else math.isnan(low) and math.isnan(high)


def test_there_is_no_percentile_of_nothing() -> None:
    assert Histogram().percentile(50) != Histogram().percentile(50)


@pytest.mark.parametrize(("value", "bucket"), [(0.70449, 0.704), (12.345, 12.3), (1234.5, 1230.0), (0.0, 0.0)])
def test_buckets_have_three_digits(value: float, bucket: float) -> None:
    assert three_digits(value) == bucket

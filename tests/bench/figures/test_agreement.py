"""The counts of client, nginx and app are compared run by run."""

import math
from collections import Counter

from bench.figures.agreement import READY_PROBES, app_mismatch, imbalance, mismatch


def test_an_open_load_must_agree_to_the_request() -> None:
    assert mismatch(100, 100, open_at_end=0) is None
    assert mismatch(100, 101, open_at_end=0)
    assert mismatch(100, 99, open_at_end=0)


def test_a_closed_load_may_leave_as_many_as_it_has_connections() -> None:
    assert mismatch(100, 132, open_at_end=32) is None
    assert mismatch(100, 133, open_at_end=32)


def test_the_app_must_have_counted_what_nginx_passed_on() -> None:
    """The app has counted what nginx passed on and at most the readiness checks; unanswered requests may be missing."""
    assert app_mismatch(10, 10) is None
    assert app_mismatch(10, 10 + READY_PROBES) is None
    assert app_mismatch(10, 11 + READY_PROBES)
    assert app_mismatch(10, 9)
    assert app_mismatch(10, 8, unanswered=2) is None


def test_imbalance_is_the_busiest_worker_against_the_mean() -> None:
    assert imbalance(Counter({"a": 60, "b": 40}), 2) == 1.2
    assert math.isnan(imbalance(Counter({"shared": 100}), 2))

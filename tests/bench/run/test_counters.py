"""What client and nginx have counted is compared run by run."""

import json
import math
from collections import Counter
from pathlib import Path

from bench.run.counters import READY_PROBES, app_mismatch, imbalance, left, mismatch, nginx_counts


def test_requests_are_counted_by_the_number_of_their_run_and_by_worker(tmp_path: Path) -> None:
    lines = [
        {"uri": "/wait?ms=5&run=7", "status": 200, "upstream": "unix:/run/app/slot-0.sock"},
        {"uri": "/plaintext?run=7", "status": 502, "upstream": "unix:/run/app/slot-1.sock"},
        {"uri": "/plaintext?run=8", "status": 200, "upstream": "unix:/run/app/slot-1.sock"},
        {"uri": "/plaintext", "status": 404, "upstream": ""},
    ]
    log = tmp_path / "nginx.log"
    log.write_text("not a record\n" + "".join(json.dumps(line) + "\n" for line in lines) + '{"uri": "/torn')

    runs, passed = nginx_counts(log)

    assert (passed.requests, passed.unanswered) == (3, 1)
    assert runs[7].statuses == {200: 1, 502: 1}
    assert runs[7].workers == {"slot-0": 1, "slot-1": 1}
    assert runs[8].requests == 1


def test_an_open_load_must_agree_to_the_request() -> None:
    assert mismatch(100, 100, open_at_end=0) is None
    assert mismatch(100, 101, open_at_end=0)
    assert mismatch(100, 99, open_at_end=0)


def test_a_closed_load_may_leave_as_many_as_it_has_connections() -> None:
    assert mismatch(100, 132, open_at_end=32) is None
    assert mismatch(100, 133, open_at_end=32)


def test_the_app_must_have_counted_what_nginx_passed_on() -> None:
    """And readiness checks; of what nginx answered itself, or the client gave up, it may not know."""
    assert app_mismatch(10, 10) is None
    assert app_mismatch(10, 10 + READY_PROBES) is None
    assert app_mismatch(10, 11 + READY_PROBES)
    assert app_mismatch(10, 9)
    assert app_mismatch(10, 8, unanswered=2) is None


def test_a_worker_that_left_no_count_is_no_agreement(tmp_path: Path) -> None:
    (tmp_path / "17").write_text("3")

    assert left(tmp_path, 1) == 3
    assert app_mismatch(3, left(tmp_path, 2)) == "not every worker left its count"


def test_imbalance_is_the_busiest_worker_against_the_mean() -> None:
    assert imbalance(Counter({"a": 60, "b": 40}), 2) == 1.2
    assert math.isnan(imbalance(Counter({"shared": 100}), 2))

"""Requests are counted from nginx's log and from the files of the workers."""

import json
from pathlib import Path

from bench.figures.agreement import app_mismatch
from bench.run.counters import nginx_counts, started, total_count


def test_requests_are_counted_by_the_number_of_their_run_and_by_worker(tmp_path: Path) -> None:
    lines = [
        {"path": "/wait?ms=5&run=7", "status": 200, "upstream": "unix:/run/app/slot-0.sock"},
        {"path": "/plaintext?run=7", "status": 502, "upstream": "unix:/run/app/slot-1.sock"},
        {"path": "/plaintext?run=8", "status": 200, "upstream": "unix:/run/app/slot-1.sock"},
        {"path": "/plaintext", "status": 404, "upstream": ""},
    ]
    log = tmp_path / "nginx.log"
    log.write_text("not a record\n" + "".join(json.dumps(line) + "\n" for line in lines) + '{"path": "/torn')

    runs, passed = nginx_counts(log)

    assert (passed.requests, passed.unanswered) == (3, 1)
    assert runs[7].statuses == {200: 1, 502: 1}
    assert runs[7].workers == {"slot-0": 1, "slot-1": 1}
    assert runs[8].requests == 1


def test_a_worker_that_left_no_count_is_no_agreement(tmp_path: Path) -> None:
    (tmp_path / "17").write_text("3")
    (tmp_path / "17.started").touch()
    (tmp_path / "18.started").touch()

    assert started(tmp_path) == 2
    assert total_count(tmp_path, 1) == 3
    assert app_mismatch(3, total_count(tmp_path, 2)) == "not every worker left its count"

"""Both latencies are kept, and those of several processes add up."""

import json
import subprocess
import sys
from typing import Any


def in_a_process(code: str) -> Any:
    """Run code in a new process, since locust patches the standard library when it is imported; return its JSON."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_latency_counts_from_the_intended_start_and_the_real_one_is_kept_beside_it() -> None:
    from loadtest._record import Record

    record = Record()
    record.add("GET /", intended=10.0, sent=10.5, ended=10.6)

    assert record.as_dict()["corrected"] == {"GET /": {"600.0": 1}}
    assert record.as_dict()["uncorrected"] == {"GET /": {"100.0": 1}}


def test_warm_up_is_decided_by_the_intended_start() -> None:
    from loadtest._record import Record

    record = Record()
    record.clear(begin=5.0)
    record.add("GET /", 4.9, 5.5, 5.6)
    record.add("GET /", 5.0, 5.5, 5.6)

    assert record.corrected["GET /"].total() == 1


def test_failures_are_no_latency() -> None:
    from loadtest._record import Record

    record = Record()
    record.add("GET /", 1.0, 1.0, 1.1, "wrong body")

    assert record.as_dict()["failures"] == {"GET /: wrong body": 1}
    assert not record.corrected


def test_what_workers_ship_adds_up_and_is_shipped_once() -> None:
    from loadtest._record import Record

    master, worker = Record(), Record()
    for milliseconds in (1, 2, 3):
        worker.add("GET /", 0.0, 0.0, milliseconds / 1_000)
        master.merge(json.loads(json.dumps(worker.take())))

    assert dict(master.corrected["GET /"]) == {1.0: 1, 2.0: 1, 3.0: 1}


def test_a_schedule_makes_up_for_late_starts_and_knows_what_it_owes() -> None:
    from loadtest._schedule import Schedule

    schedule = Schedule(rate=10, now=100.0, phase=0.5)

    assert schedule.due == 100.05
    assert schedule.delay(100.0) > 0
    schedule.advance()
    assert schedule.delay(101.0) == 0
    assert schedule.missed(100.1) == 0
    assert schedule.missed(100.2) == 0  # late, but under way
    assert schedule.missed(100.36) == 2


def test_locust_itself_counts_with_three_digits() -> None:
    code = (
        "import loadtest._setup, locust.stats as s, json;"
        "print(json.dumps({'a': s.bucket_response_time(0.7349), 'b': s.bucket_response_time(1234.5)}))"
    )

    assert in_a_process(code) == {"a": 0.735, "b": 1230.0}


def test_an_overloaded_generator_has_an_exit_code_of_its_own() -> None:
    """With --strict, as in the benchmark, an overloaded generator has an exit code of its own: its figures are void."""
    code = """
import json
from types import SimpleNamespace as Stub
from loadtest._options import Chosen
from loadtest._verdict import verdict

def exit_code(strict, master, worker):
    runner = Stub(cpu_warning_emitted=master, worker_cpu_warning_emitted=worker, stats=Stub(total=Stub(num_requests=1)))
    return verdict(Stub(parsed_options=Stub(headless=True), runner=runner), Chosen(strict=bool(strict)))

print(json.dumps([exit_code(*each) for each in ((1, 1, 0), (1, 0, 1), (1, 0, 0), (0, 1, 1))]))
"""

    assert in_a_process(code) == [4, 4, None, None]

"""The open load measures delays that a closed load omits, and checks the responses."""

import json
import subprocess
import sys

from bench.load.job import Job, LoadResult, RequestKind, job_json
from bench.run.generators import overloaded
from tests.bench.fake_servers import ANSWER, freezing, serving, wrong_each

HELLO = RequestKind("hello", "/", "Hello, World!")


def run(job: Job) -> LoadResult:
    command = [sys.executable, "-m", "bench.load.openload"]
    done = subprocess.run(command, input=job_json(job), capture_output=True, text=True, timeout=40, check=True)
    return LoadResult.from_dict(json.loads(done.stdout))


def test_a_server_that_freezes_1_s_in_every_5_is_seen_in_the_corrected_p90() -> None:
    """A fifth of the arrivals wait up to 1 s and half of those at least 0.5 s, so the p90 is about 500 ms."""
    with serving(freezing(period=5.0, frozen=1.0)) as port:
        result = run(Job(port, [HELLO], rate=200, seconds=5))

    assert result.completed == result.offered
    assert 400 <= result.corrected["hello"].percentile(90) <= 700
    assert result.corrected["hello"].percentile(50) < 50


def test_requests_without_a_free_connection_are_counted_as_failures() -> None:
    with serving(lambda request, now: (0.5, ANSWER)) as port:
        result = run(Job(port, [HELLO], rate=100, seconds=1, most_connections=10))

    assert result.failures["no connection left"] == result.offered - result.completed > 0


def test_all_starts_are_made_and_all_answers_are_counted() -> None:
    with serving(lambda request, now: (0.02, ANSWER)) as port:
        result = run(Job(port, [HELLO], rate=300, seconds=1.5, warmup=0.5))

    assert result.offered == result.completed > 200
    assert result.sent > result.offered  # the warm-up counts as sent
    assert 19 <= result.uncorrected["hello"].percentile(50) <= 40
    assert not result.failures


def test_a_wrong_body_is_a_failure_and_no_latency() -> None:
    with serving(wrong_each(10)) as port:
        result = run(Job(port, [HELLO], rate=200, seconds=1))

    assert result.failures["wrong body"] == result.sent // 10
    assert result.completed == result.offered - result.failures["wrong body"]


def test_a_kind_without_an_expected_body_takes_any() -> None:
    """The pages of a user's own app may differ each time."""
    with serving(wrong_each(10)) as port:
        result = run(Job(port, [RequestKind("own", "/", "")], rate=200, seconds=0.5))

    assert result.completed == result.offered
    assert not result.failures


def test_a_server_that_is_not_there_is_a_failure_of_each_request() -> None:
    with serving(lambda request, now: (0, ANSWER)) as port:
        pass
    result = run(Job(port, [HELLO], rate=100, seconds=0.5))

    assert result.completed == 0
    assert result.failures.total() == result.offered


def test_a_connection_closed_by_the_server_is_replaced() -> None:
    """A connection that the server has closed while it was idle is not used again."""
    with serving(lambda request, now: (0, ANSWER), closes=True) as port:
        result = run(Job(port, [HELLO], rate=50, seconds=1.0))

    assert result.connections > 1
    assert result.sent == result.offered
    assert not set(result.failures) - {"connection lost"}


def test_answers_that_never_come_count_with_the_time_that_they_were_waited_for() -> None:
    """A server that hangs gains nothing from unanswered requests."""
    with serving(lambda request, now: (0.0 if now < 0.5 else 60.0, ANSWER)) as port:
        result = run(Job(port, [HELLO], rate=50, seconds=1.0))

    unanswered = result.failures["no answer within 5 s"]
    assert unanswered == result.offered - result.completed > 5
    assert len(result.corrected["hello"]) == result.offered
    assert result.corrected["hello"].percentile(99) >= 5_000


def test_a_generator_that_is_too_slow_voids_its_run() -> None:
    with serving(lambda request, now: (0, ANSWER)) as port:
        result = run(Job(port, [HELLO], rate=100_000, seconds=0.3))

    assert overloaded(result)


def test_a_mix_keeps_its_shares_and_its_latencies_apart() -> None:
    def behave(request: bytes, now: float) -> tuple[float, bytes]:
        return (0.05 if b"/slow" in request else 0.0), ANSWER

    kinds = [
        RequestKind("fast", "/", "Hello, World!", share=0.9),
        RequestKind("slow", "/slow", "Hello, World!", share=0.1),
    ]
    with serving(behave) as port:
        result = run(Job(port, kinds, rate=400, seconds=1.5))

    assert 0.05 < len(result.corrected["slow"]) / result.completed < 0.16
    assert result.corrected["slow"].percentile(50) >= 50 > result.corrected["fast"].percentile(50)


def test_a_result_survives_json() -> None:
    result = LoadResult(offered=3, completed=2)
    result.failures["wrong body"] = 1

    assert LoadResult.from_dict(json.loads(json.dumps(result.as_dict()))) == result

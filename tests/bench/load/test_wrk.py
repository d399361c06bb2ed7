"""wrk sends a request made in Python, and its summary is parsed."""

import pytest

from bench.load.wrk import RequestTemplate, WrkFailed, parse, run
from bench.run.processes import free_port
from tests.bench.fake_servers import ANSWER, serving

LINE = (
    'BENCH {"requests":2000,"microseconds":1000000,"bytes":9,"connect":1,"read":2,"write":0,"timeout":3,"status":4,'
    '"mean":700.0,"p50":650,"p90":900,"p99":1500,"max":9000}'
)


def test_times_become_milliseconds_and_errors_a_sum() -> None:
    """wrk's time-outs are late responses, not errors."""
    peak = parse(f"Running 1s test\n{LINE}\n")

    assert (peak.rate, peak.errors, peak.p50, peak.p99, peak.worst) == (2_000, 7, 0.65, 1.5, 9)


def test_no_summary_is_an_error_with_what_was_said() -> None:
    with pytest.raises(WrkFailed, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1\n")


def test_a_window_may_be_a_part_of_a_second() -> None:
    """The run ends within a tenth of a second, with the responses received by then."""
    with serving(lambda request, seconds: (0, ANSWER)) as port:
        peak = run(f"http://127.0.0.1:{port}", RequestTemplate("/"), seconds=0.3, connections=2)

    assert peak.requests > 0
    assert peak.errors == 0
    assert 0.2 < peak.seconds < 2


def test_wrk_without_a_server_reports_the_failure() -> None:
    """wrk ends by itself, and the error contains its output."""
    with pytest.raises(WrkFailed, match="unable to connect"):
        run(f"http://127.0.0.1:{free_port()}", RequestTemplate("/"), seconds=5, connections=1)

"""Options: a wrong one ends the run before it begins, and each of the others has its effect."""

import json
import signal
import subprocess
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import httpx
import pytest

from slipway.ops import wait
from slipway.ops.settings import ROOT
from tests.bench.fake_servers import ANSWER, Behave, serving, wrong_each
from tests.harness.at_once import at_once
from tests.harness.processes import BIN, Process, children, free_ports, running
from tests.harness.walks import walk
from tests.loadtest.conftest import Locust, Outcome


def noting(asked: list[tuple[float, bytes]]) -> Behave:
    """Answer each request, and keep its time and path."""

    def behave(request: bytes, now: float) -> tuple[float, bytes]:
        asked.append((now, request.split()[1]))
        return 0.0, ANSWER

    return behave


WRONG = {
    "rate below 0": (["--rate=-5"], "--rate is -5: allowed is a number above 0"),
    "rate 0": (["--rate=0.0"], "--rate is 0.0: allowed is a number above 0"),
    "rate nan": (["--rate", "nan"], "--rate is nan: allowed is a number above 0"),
    "rate infinite": (["--rate", "inf"], "--rate is inf: allowed is a number above 0"),
    "rate no number": (["--rate", "many"], "--rate is many: allowed is a number above 0"),
    "warm-up below 0": (["--warmup=-1"], "--warmup is -1: allowed is a number of at least 0"),
    "warm-up nan": (["--warmup", "nan"], "--warmup is nan: allowed is a number of at least 0"),
    "warm-up as long as the run": (["--warmup", "2"], "--warmup is 2 s and the test 2 s: nothing would be measured"),
    "no folder": (["--record", "/nonexistent/a.json"], "there is no folder /nonexistent"),
    "limit": (["--fail-if", "p95<200"], "--fail-if is p95<200: allowed is"),
    "limit in percent": (["--fail-if", "p95>20%"], "--fail-if is p95>20%: allowed is"),
    "stages": (["--stages", "20-30s"], "--stages is 20-30s: allowed is users:duration"),
    "stages and a run time": (["--stages", "20:30s"], "--run-time 2 s says another length"),
}


@pytest.mark.parametrize(
    ("arguments", "expected"), walk(WRONG, "rate nan", "no folder", "limit", "stages and a run time")
)
def test_a_wrong_option_ends_the_run_in_one_line_before_any_load(
    locust: Locust, arguments: list[str], expected: str
) -> None:
    """The exit code is 2, as of any command with a wrong option."""
    outcome = locust(*arguments, "PlaintextUser", host=f"http://127.0.0.1:{free_ports()}")

    assert outcome.code == 2, outcome.output
    assert outcome.output.count("ERROR") == 1
    assert expected in outcome.output


@pytest.mark.parametrize("seconds", [0, 2])
def test_a_wrong_option_is_told_once_by_several_processes(locust: Locust, tmp_path: Path, seconds: int) -> None:
    """One of the processes reports it, and all of them end, also those that have not reached the master yet."""
    late = tmp_path / "late.py"
    late.write_text(f"import os, time\nos.register_at_fork(after_in_child=lambda: time.sleep({seconds}))\n")
    arguments = ("--processes", "2", "--rate", "nan", "PlaintextUser")
    outcome = locust(*arguments, file=f"{late},loadtest", host="http://127.0.0.1:1", seconds=3)

    assert outcome.code == 2
    assert outcome.output.count("--rate is nan") == 1


LIMITS = {
    "failures>50%": (5, 0),
    "failures>1%": (5, 5),
    "failures>0": (10_000, 0),
    "GET /plaintext: failures>50%": (5, 0),
    "p99>20000": (10_000, 0),
    "p50>0.001": (10_000, 5),
    "GET /plaintext: p50>0.001": (10_000, 5),
    "GET /other: p50>0.001": (10_000, 5),
}


@pytest.fixture(scope="module")
def limited(locust: Locust) -> dict[str, "Future[Outcome]"]:
    """A run with each limit, at a server that gives every `wrong`th answer a wrong body."""
    return at_once({limit: partial(_limited, locust, limit, wrong) for limit, (wrong, _) in LIMITS.items()})


def _limited(locust: Locust, limit: str, wrong: int) -> Outcome:
    with serving(wrong_each(wrong)) as port:
        return locust("-u", "2", "--fail-if", limit, "PlaintextUser", host=f"http://127.0.0.1:{port}")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_sets_the_exit_code(limited: dict[str, "Future[Outcome]"], limit: str) -> None:
    """Failures below a limit are allowed, and a limit for a request that never occurred counts as broken."""
    code, outcome = LIMITS[limit][1], limited[limit].result()

    assert outcome.code == code, outcome.output
    assert (f"--fail-if {limit}: it is" in outcome.output) == (code == 5)


def test_a_limit_for_one_request_allows_no_failures_of_others(locust: Locust) -> None:
    """Failures of requests that no limit concerns still set locust's own exit code."""
    limit = "GET /plaintext: failures>50%"
    with serving(wrong_each(5)) as port:  # every answer is wrong for /json
        outcome = locust("-u", "2", "--fail-if", limit, "PlaintextUser", "JsonUser", host=f"http://127.0.0.1:{port}")

    assert outcome.code == 1, outcome.output
    assert "--fail-if" not in outcome.output


def test_what_the_environment_says_is_taken(locust: Locust, tmp_path: Path) -> None:
    """LOCUST_RATE and similar variables work as those of locust's own options."""
    record = tmp_path / "record.json"
    with serving(lambda request, now: (0, ANSWER)) as port:
        host = f"http://127.0.0.1:{port}"
        more = {
            "LOCUST_RATE": "20",
            "LOCUST_WARMUP": "1",
            "LOCUST_RECORD": str(record),
            "LOCUST_FAIL_IF": "missed>1000",
        }
        outcome = locust("-u", "1", "PlaintextUser", host=host, seconds=3, **more)

    assert outcome.code == 0, outcome.output
    assert 30 <= sum(json.loads(record.read_text())["corrected"]["GET /plaintext"].values()) <= 41


def test_stages_change_the_number_of_users(locust: Locust, tmp_path: Path) -> None:
    """The number of users follows the stages, here a spike from one to ten and back, and the test ends with them."""
    asked: list[tuple[float, bytes]] = []
    with serving(noting(asked)) as port:
        host = f"http://127.0.0.1:{port}"
        outcome = locust("--stages", "1:2s,10:2s,1:2s", "--rate", "10", "PlaintextUser", host=host, seconds=0)

    assert outcome.code == 0, outcome.output
    first = asked[0][0]
    by_stage = [sum(begin + 0.5 <= at - first < begin + 1.5 for at, _ in asked) for begin in (0, 2, 4)]
    assert by_stage[1] > 4 * max(by_stage[0], by_stage[2])


def test_a_folder_elsewhere_is_taken_from_there(app: str, locust: Locust, tmp_path: Path) -> None:
    """`locust -f PATH/loadtest` works in another folder."""
    outcome = locust("-u", "2", "JsonUser", host=app, file=str(ROOT / "loadtest"), cwd=tmp_path)

    assert outcome.code == 0, outcome.output
    assert "GET /json" in " ".join(outcome.output.split())


def test_one_file_alone_runs_its_user(app: str, locust: Locust) -> None:
    """A file may be run alone, also if it is not part of the mix."""
    outcome = locust("-u", "2", host=app, file="loadtest/http_json.py")

    assert outcome.code == 0, outcome.output
    assert "GET /json" in " ".join(outcome.output.split())


def test_a_host_may_end_with_a_slash(locust: Locust) -> None:
    """A trailing slash of the host is dropped, since the paths begin with one."""
    asked: list[tuple[float, bytes]] = []
    with serving(noting(asked)) as port:
        outcome = locust("-u", "1", "PlaintextUser", host=f"http://127.0.0.1:{port}/")

    assert outcome.code == 0, outcome.output
    assert {path for _, path in asked} == {b"/plaintext"}


def test_the_host_is_where_the_stack_is(tmp_path: Path) -> None:
    """The port of the default host is HTTP_PORT."""
    environment = {"HTTP_PORT": "18123"}
    command = [str(BIN / "python"), "-c", "from loadtest._host import HOST; print(HOST)"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30)

    assert done.stdout == "http://127.0.0.1:18123\n"


STRICT: dict[tuple[str, ...], int] = {(): 0, ("--strict",): 6}


@pytest.fixture(scope="module")
def losing(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], "Future[tuple[int | None, str]]"]:
    """The exit code and the output of runs that lose one of their processes."""
    return at_once({options: partial(_lose, tmp_path_factory.mktemp("run"), options) for options in STRICT})


def _lose(folder: Path, options: tuple[str, ...]) -> tuple[int | None, str]:
    asked: list[tuple[float, bytes]] = []
    with serving(noting(asked)) as port:
        master = str(free_ports())
        command = [str(BIN / "locust"), "-f", "loadtest", "--headless", "--only-summary", "-u", "4", "-r", "100"]
        command += ["-t", "6s", "--processes", "2", "--host", f"http://127.0.0.1:{port}", *options, "PlaintextUser"]
        command += ["--master-bind-port", master, "--master-port", master]
        with running(Process(command, folder / "log")) as run:
            assert wait.until(lambda: any(path == b"/plaintext" for _, path in asked), 40)  # both take part by then
            victim = children(run.pid)[0]
            subprocess.run(["kill", f"-{signal.SIGKILL}", str(victim)], check=True)
            assert wait.until(lambda: run.code is not None, 40)
            return run.code, run.log()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", STRICT)
def test_a_lost_process_is_said(
    losing: dict[tuple[str, ...], "Future[tuple[int | None, str]]"], options: tuple[str, ...]
) -> None:
    """A killed worker's figures are lost, so the run says that it lost a process."""
    code, output = losing[options].result()

    assert code == STRICT[options]
    assert "1 of the generator's processes were lost" in output


def test_the_page_shows_both_latencies_while_the_test_runs(tmp_path: Path) -> None:
    """A tab shows both latencies, which differ if a server needs 0.2 s an answer and so falls behind the schedule."""
    port = free_ports()
    command = [str(BIN / "locust"), "-f", "loadtest", "--web-host", "127.0.0.1", "--web-port", str(port)]
    with (
        serving(lambda request, now: (0.2, ANSWER)) as server,
        running(Process([*command, "--rate", "20", "PlaintextUser"], tmp_path / "log")),
    ):
        assert wait.until(lambda: not wait.is_free("127.0.0.1", port), 20)
        url, host = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{server}"
        httpx.post(f"{url}/swarm", data={"user_count": 1, "spawn_rate": 1, "host": host}).raise_for_status()

        def shown() -> dict[str, float]:
            tables = httpx.get(f"{url}/stats/requests").json().get("extended_stats", [])
            return next((row for table in tables for row in table["data"] if row["name"] == "GET /plaintext"), {})

        assert wait.until(lambda: shown().get("corrected_p99", 0) > 2 * shown().get("uncorrected_p99", 1e9), 20)
        assert shown()["uncorrected_p50"] < 400

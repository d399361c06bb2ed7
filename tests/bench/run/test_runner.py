"""A whole, very short run of the benchmark: real servers, real generators, every kind of step.

Rules: loopback only, and only processes started here are ended.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.figures.agreement import MOST_IN_FLIGHT, app_mismatch, in_flight
from bench.figures.results import AGAIN, Results
from bench.report import report
from bench.run import about
from bench.run.arms import ASGI, SYNC
from bench.run.plan import QUIET_RATES, START_SECONDS, Mode, Visit, plan
from bench.run.runner import Runner

WORKLOADS = ["plaintext", "database", "idle-websockets", "idle", "echo", "events"]
TINY = Mode("tiny", 1, 0.1, 0.2, 1, 1, 0.2, (0.5,), WORKLOADS, 1, quiet=0.3)
LATE = "start never made"  # locust was too slow for its schedule, which may happen on a busy machine
SEED = 3

pytestmark = [pytest.mark.timeout(180), pytest.mark.suite]  # a whole run of the benchmark


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The results of one round of all workloads on two arms."""
    folder = tmp_path_factory.mktemp("bench") / "results"
    results = Results(folder)
    results.create(about.facts(TINY, [ASGI, SYNC], seed=SEED, objective=100))
    session = begin(results)
    assert carry_out(session) == pytest.approx(sum(visit.seconds for visit in visits()))
    assert session.failed == []
    yield folder


def begin(results: Results) -> Runner:
    return Runner(results, TINY, [ASGI, SYNC], objective=100, workers=2, seed=SEED)


def carry_out(session: Runner) -> float:
    """Measure the remaining visits; return the seconds by which the progress display advanced."""
    moved: list[float] = []
    session.prepare(lambda text: None)
    for visit in session.remaining(visits()):
        session.visit(visit, lambda text: None, moved.append)
    return sum(moved)


def visits() -> list[Visit]:
    return plan(TINY, [ASGI, SYNC], SEED)


def runs(folder: Path, what: str) -> list[dict[str, Any]]:
    return [run for run in Results(folder).all() if run["what"] == what]


def test_every_step_of_the_plan_has_a_result(folder: Path) -> None:
    planned = {step.number for visit in visits() for step in visit.steps}

    assert {run["number"] for run in Results(folder).all()} == planned


def test_the_folder_tells_what_the_run_was_made_of(folder: Path) -> None:
    """The folder has versions, processors, configuration and commands, each arm's log, and each run's generator."""
    made_of = Results(folder).about

    assert {"python", "nginx", "wrk", "gunicorn", "uvicorn", "locust"} <= made_of["versions"].keys()
    assert made_of["machine"]["processor"] and made_of["cpus"]["servers"]
    assert "upstream app" in made_of["nginx"] and "-k sync" in made_of["commands"]["wsgi-sync"]
    assert {path.parent.name for path in folder.glob("logs/*/app.log")} >= {visit.name for visit in visits()}
    assert {run["generator"] for run in Results(folder).all()} == {"open load", "wrk", "locust"}


def test_every_answer_was_the_expected_one(folder: Path) -> None:
    """Every answer was the expected one, also to the database request and to locust's requests."""
    for run in [*runs(folder, "rate"), *runs(folder, "check")]:
        assert run["result"]["failures"].keys() <= {LATE}, (run["label"], run["workload"])
        assert sum(map(sum, (buckets.values() for buckets in run["result"]["corrected"].values())))
    assert Results(folder).extra("verified") == {"wsgi-sync": []}


def test_client_nginx_and_app_have_counted_the_same(folder: Path) -> None:
    assert not [run for run in Results(folder).all() if "nginx saw" in (run["void"] or "")]
    for name, visit in Results(folder).extra("visits").items():
        assert app_mismatch(visit["nginx"], visit["app"], visit["unanswered"]) is None, name


def test_memory_of_waiting_connections_is_measured_in_every_round_where_there_are_any(folder: Path) -> None:
    measured = {(run["workload"], run["label"]): run["memory"] for run in runs(folder, "rate") if run.get("memory")}

    labels = (ASGI.name, ASGI.name + AGAIN)
    assert measured.keys() == {
        *(("idle-websockets", label) for label in labels), *(("idle", label) for label in (*labels, SYNC.name))
    }  # fmt: skip
    assert all(5 < measured["idle-websockets", label]["kib"] < 200 for label in labels)


def test_the_cpu_time_of_idle_arms_is_measured(folder: Path) -> None:
    """The CPU time, a share of one processor, is measured without requests and at ten requests a second."""
    shares = {(run["label"], run["rate"]): run["share"] for run in runs(folder, "quiet")}

    assert shares.keys() == {(arm.name, rate) for arm in (ASGI, SYNC) for rate in QUIET_RATES}
    assert all(0 <= share < 1 for share in shares.values())  # a process that sleeps until a request comes uses none
    assert any(shares.values())


def test_a_closed_load_s_requests_under_way_are_known(folder: Path) -> None:
    """The number of requests under way, for Little's law, comes from the durations in nginx's log."""
    peaks = runs(folder, "peak")

    assert peaks
    assert all(0 < in_flight(run) <= MOST_IN_FLIGHT * run["open"] for run in peaks)


def test_the_report_is_built_and_shows_each_workload(folder: Path) -> None:
    out = io.StringIO()

    report.build(folder, Console(file=out, width=250))

    figures = report.figures_of(folder)
    assert figures.workloads() == WORKLOADS
    assert "answers alike, byte for byte" in out.getvalue()
    assert "websocket echo" in out.getvalue() and "idle connections" in out.getvalue()
    for name in ("forest", "memory", "sockets", "workers", "curve-plaintext", "percentiles-echo"):
        assert (folder / f"{name}.svg").read_text().startswith("<?xml")


def test_a_resumed_run_measures_only_what_is_missing(folder: Path) -> None:
    """With one result removed, as after an interruption, only that step is repeated."""
    results = Results(folder)
    before = {path.name: path.stat().st_mtime_ns for path in results.raw.iterdir()}
    visit = next(visit for visit in visits() if visit.round == 1)
    lost = visit.steps[-1]
    (results.raw / f"{lost.number:05}.json").unlink()

    moved = carry_out(begin(results))

    after = {path.name: path.stat().st_mtime_ns for path in results.raw.iterdir()}
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == [f"{lost.number:05}.json"]
    assert moved == pytest.approx(START_SECONDS + lost.seconds)
    counted = results.extra("visits")[visit.name]
    assert app_mismatch(counted["nginx"], counted["app"], counted["unanswered"]) is None

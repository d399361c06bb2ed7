"""The report is built from a results folder alone, and names void runs and missing figures."""

import html
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench.figures.comparisons import at_highest_rate, comparisons
from bench.figures.figures import Figures
from bench.figures.histogram import Histogram
from bench.figures.results import Results
from bench.figures.stats import Interval
from bench.figures.summaries import summaries
from bench.load.job import LoadResult
from bench.report import compare, plots, report
from bench.run.workloads import BY_NAME

ABOUT: dict[str, Any] = {
    "begun": "2026-01-01-000000", "mode": "normal", "seed": 1, "objective": 100.0, "workers": 2,
    "arms": ["asgi", "wsgi-sync"], "commands": {"asgi": "gunicorn", "wsgi-sync": "gunicorn -k sync"},
    "remarks": {"asgi": "", "wsgi-sync": "one request at a time"},
    "cpus": {"servers": [0], "generator": [1]}, "machine": {"processor": "<b>test</b>"}, "versions": {},
    "nginx": "events {}", "commit": "abc", "predictions": {"plaintext": {"winner": "asgi", "reason": "parser"}},
}  # fmt: skip
FIGURES = {"plaintext": "plaintext", "idle-websockets": "plaintext", "echo": "WS /ws/echo"}


class Folder:
    """A results folder that a test fills run by run."""

    def __init__(self, path: Path) -> None:
        self.results = Results(path)
        self.results.create(ABOUT)
        self.results.save_extra("verified", {"wsgi-sync": []})
        self.number = 0

    def add(self, label: str, number_of_round: int, milliseconds: float, **more: Any) -> None:
        """One run: 98 % of the requests took `milliseconds`, the rest three times as long."""
        workload = more.get("workload", "plaintext")
        result = LoadResult(offered=1_000, sent=1_000, completed=1_000, seconds=1)
        result.corrected[FIGURES[workload]] = Histogram({milliseconds: 980, milliseconds * 3: 20})
        result.uncorrected[FIGURES[workload]] = Histogram({milliseconds: 1_000})
        result.failures.update(more.pop("failures", {}))
        self.number += 1
        run = {
            "number": self.number, "what": "rate", "workload": workload, "arm": label.removesuffix(" again"),
            "label": label, "round": number_of_round, "rate": 100.0, "fraction": 0.5, "sent": 1_000, "open": 0,
            "nginx": 1_000, "void": None, "workers": {"slot-0": 500, "slot-1": 500},
            "cpu": {"app": milliseconds / 10, "nginx": 0.01}, "stolen": 0.0, "busy": 0.5, "generator": "open load",
            "result": result.as_dict(),
        }  # fmt: skip
        self.results.save(self.number, run | more)

    def text(self) -> str:
        """Build the report; return what it prints."""
        out = io.StringIO()
        report.build(self.results.folder, Console(file=out, width=250))
        return out.getvalue()

    @property
    def figures(self) -> Figures:
        return report.figures_of(self.results.folder)


@pytest.fixture
def empty(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "r")


@pytest.fixture
def folder(empty: Folder) -> Folder:
    """Five rounds in which ASGI takes half the time of WSGI, and a void run."""
    for number in range(1, 6):
        for label, milliseconds in (("asgi", 1.0), ("asgi again", 1.02), ("wsgi-sync", 2.0)):
            empty.add(label, number, milliseconds * (1 + number / 10))
    empty.add("asgi", 6, 500.0, void="the generator was 99% busy")
    return empty


def test_the_verdict_has_ratio_interval_and_words(folder: Folder) -> None:
    row = comparisons(folder.figures)[0]

    assert row.latency.middle == pytest.approx(0.5, rel=0.02)
    assert row.verdict == "ASGI better"
    assert row.floor == pytest.approx(0.02, abs=0.01)


def test_void_runs_are_named_and_left_out(folder: Folder) -> None:
    text = folder.text()

    assert "1 of 16 runs void" in text
    assert "99% busy" in text
    assert "500" not in folder.figures.latencies("plaintext", "asgi", 100.0).as_dict()


def test_what_failed_is_a_plain_line(folder: Folder) -> None:
    folder.add("wsgi-sync", 6, 2.0, failures={"status 502": 7})

    assert "failed: plain text, wsgi-sync: 7 x status 502 beside 6000" in folder.text()


@pytest.mark.parametrize("label", ["asgi", "wsgi-sync"])
def test_an_arm_with_failures_has_no_verdict(folder: Folder, label: str) -> None:
    """A server that refuses or hangs has no verdict, however fast its other answers are."""
    folder.add(label, 6, 2.0, failures={"no answer within 5 s": 1})

    assert comparisons(folder.figures)[0].verdict == f"no verdict: {label} failed 1 x"
    assert f"can't be told (no verdict: {label} failed 1 x)" in folder.text()


def test_four_rounds_have_no_verdict(empty: Folder) -> None:
    """The range of four rounds is no 95 % interval."""
    for number in range(1, 5):
        for label, milliseconds in (("asgi", 1.0), ("asgi again", 1.0), ("wsgi-sync", 2.0)):
            empty.add(label, number, milliseconds)

    assert comparisons(empty.figures)[0].verdict == "too few rounds to tell"


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (2.0, "Plain text at 100/s: asgi wins, its p90 is 0.5 (0.5 to 0.5) of wsgi-sync's."),
        (0.5, "Plain text at 100/s: wsgi-sync wins, its p90 is 0.5 (0.5 to 0.5) of asgi's."),
        (
            1.0,
            "Plain text at 100/s: whether asgi or wsgi-sync answers faster can't be told (no measurable difference).",
        ),
    ],
)
def test_the_report_begins_with_a_sentence(empty: Folder, factor: float, words: str) -> None:
    """The report begins with the winner, its lead and the rate, or that it can't be told; then one picture follows."""
    for number in range(1, 6):
        for label, milliseconds in (("asgi", 1.0), ("asgi again", 1.0), ("wsgi-sync", factor)):
            empty.add(label, number, milliseconds)

    assert words in empty.text()
    page = html.unescape((empty.results.folder / "report.html").read_text())
    assert page.index("<h1>") < page.index(words) < page.index("<svg") < page.index("<table>")


def test_what_comes_first_is_at_the_highest_rate(empty: Folder) -> None:
    """The first sentences and the picture have one line for each workload and arm, however many rates were measured."""
    for number in range(1, 6):
        for rate in (100.0, 300.0, 200.0):
            for label in ("asgi", "asgi again", "wsgi-sync"):
                empty.add(label, number, 1.0, rate=rate)
    rows = comparisons(empty.figures)

    assert {row.rate for row in rows} == {100.0, 200.0, 300.0}
    assert [row.rate for row in at_highest_rate(rows)] == [300.0]
    assert "Plain text at 300/s: " in empty.text()
    assert (empty.results.folder / "forest.svg").read_text() == plots.forest(at_highest_rate(rows))


@pytest.mark.parametrize(
    "verdict", ["ASGI better", "no measurable difference", "no verdict: gunicorn-asgi failed 12345 x"]
)
def test_the_terminal_s_table_fits_100_columns(folder: Folder, verdict: str) -> None:
    """The longest names of workloads and arms are shown in full."""
    row = comparisons(folder.figures)[0]
    longest = max((one.title for one in BY_NAME.values()), key=len)
    wide = replace(row, title=longest, other="gunicorn-asgi", rate=12_345.0, percent=99.9, verdict=verdict)
    wide = replace(wide, latency=Interval(0.123, 0.111, 0.222), base_ms=Interval(1234, 1, 1), other_ms=wide.base_ms)
    out = io.StringIO()
    Console(file=out, width=100).print(report.comparison_table([wide]))

    assert max(map(len, out.getvalue().splitlines())) <= 100
    assert "…" not in out.getvalue()
    assert "0.123 (0.111 to 0.222)" in out.getvalue()


def test_columns_without_data_are_left_out(folder: Folder) -> None:
    """A run without peaks, searches and idle connections has no empty columns for them."""
    folder.text()
    page = (folder.results.folder / "report.html").read_text()

    assert "latency ratio" in page
    assert not {"peak ratio (wrk)", "KiB per connection", "asked nothing"} & {*re.findall("<th[^>]*>([^<]*)", page)}


def test_an_idle_arm_s_cpu_time_is_a_row(folder: Folder) -> None:
    """The row shows the CPU time without requests and at ten requests a second."""
    for rate, share in ((0.0, 0.004), (10.0, 0.012)):
        folder.add("asgi", 0, 1, what="quiet", rate=rate, share=share, sent=None)

    text = folder.text()

    assert re.search(r"asgi\s+0\.40%\s+1\.20%", text)
    assert "1.20%" in (folder.results.folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (310.0, "Little's law holds in 1 of 1 closed cells"),
        (100.0, "32 connections, but 10.0 requests under way by rate and duration"),
        (400.0, "32 connections, but 40.0 requests under way by rate and duration"),
    ],
)
def test_a_closed_cell_is_held_against_littles_law(folder: Folder, seconds: float, words: str) -> None:
    """Rate times duration must be about the number of connections, each of which has one request under way."""
    folder.add("asgi", 1, 1, what="peak", rate=900.0, open=32, seconds=10.0, nginx_seconds=seconds)

    assert words in folder.text()


def test_a_run_without_one_valid_figure_gives_a_report_all_the_same(empty: Folder) -> None:
    empty.add("asgi", 1, 1.0, void="the generator was 99% busy")
    empty.add("wsgi-sync", 1, 1.0, void="the generator was 99% busy")

    assert "too few rounds to tell" in empty.text()
    assert "2 of 2 runs void" in empty.text()


def test_what_an_arm_answers_otherwise_and_what_must_be_known_of_it_are_plain_lines(folder: Folder) -> None:
    folder.results.save_extra("verified", {"wsgi-sync": ["GET /json: one and another"]})

    text = folder.text()

    assert "wsgi-sync ANSWERS OTHERWISE: GET /json: one and another" in text
    assert "wsgi-sync: one request at a time" in text
    assert "answers alike" not in text


def test_sockets_and_waiting_connections_have_an_interval_over_the_rounds(folder: Folder) -> None:
    """The memory of a void run counts: it does not depend on the generator."""
    for number, kib in enumerate((20.0, 22.0, 27.0), 1):
        folder.add("asgi", number, number, workload="echo", sent=None)
        void = "the generator was 99% busy" if number == 3 else None
        folder.add("asgi", number, 1, workload="idle-websockets", memory={"kib": kib}, void=void)

    idle, echo = (one for one in summaries(folder.figures) if one.workload != "plaintext")

    assert (echo.p50.low, echo.p50.middle, echo.p50.high) == (1, 2, 3)
    assert (echo.p99.low, echo.p99.middle, echo.p99.high) == (3, 6, 9)
    assert (idle.kib.low, idle.kib.middle, idle.kib.high) == (20, 22, 27)
    assert idle.n == 2_000
    assert "22 (20 to 27)" in folder.text()
    assert "22 (20 to 27)" in (folder.results.folder / "report.html").read_text()


def test_a_peak_says_what_limited_it(folder: Folder) -> None:
    for number in (1, 2, 3):
        folder.add("asgi", number, 1, what="peak", rate=900.0, busy=0.99)
        folder.add("wsgi-sync", number, 1, what="peak", rate=300.0, busy=0.4)

    row = comparisons(folder.figures)[0]

    assert row.peak.middle == 3
    assert row.peak_limits == ("processors", "waiting")
    assert "processors against 2 workers that wait" in report.cells(row)


@pytest.mark.parametrize(("predicted", "words"), [("asgi", "hit"), ("wsgi", "missed"), ("tie", "missed")])
def test_what_was_predicted_is_held_against_what_was_seen(folder: Folder, predicted: str, words: str) -> None:
    row = replace(comparisons(folder.figures)[0], predicted=predicted)

    assert report.cells(row)[-1] == f"{predicted}: {words}"


def test_both_generators_must_agree(folder: Folder) -> None:
    for number, milliseconds in enumerate((1.5, 9.0)):
        by_locust = {"corrected": {"GET /plaintext": {str(milliseconds): 100}}, "uncorrected": {}, "failures": {}}
        ours = {"corrected": {"plaintext": {"1.0": 100}}}
        folder.add("asgi", number, 1, what="check", rate=200.0, result=by_locust, ours=ours)

    text = folder.text()

    assert "plain text on asgi at 200/s: p50 1 ms, by locust 1.5 ms; they agree within 2 ms" in text
    assert "by locust 9 ms; THEY DISAGREE within 2 ms" in text


def test_the_generator_s_own_ceiling_is_named(folder: Folder) -> None:
    result = {"corrected": {"plaintext": {"0.5": 100}}}
    points = [{"rate": rate, "result": result, "void": void} for rate, void in ((4_000, None), (16_000, "late"))]
    folder.results.save_extra("floor", {"points": points})

    assert "against nginx alone keeps up to 4000/s, with a p99 of 0.5 ms there" in folder.text()


def test_counters_that_do_not_agree_are_named(folder: Folder) -> None:
    times = {"planned": 60, "took": 90}
    folder.results.save_extra("visits", {"round-1": {"nginx": 10, "app": 9, "unanswered": 0, **times}})

    assert "round-1: nginx passed 10 requests on, the app counted 9" in folder.text()
    assert "planned 1.0 min, took 1.5 min" in folder.text()


def test_the_page_is_whole_in_itself_and_escapes_what_it_shows(folder: Folder) -> None:
    folder.text()
    page = (folder.results.folder / "report.html").read_text()

    assert page.count("<svg") == len(list(folder.results.folder.glob("*.svg"))) >= 3
    assert page.rstrip().endswith("</html>")
    assert "&lt;b&gt;test&lt;/b&gt;" in page and "<b>test</b>" not in page
    assert not re.search("<!-- [A-Z]{4,} -->", page)  # all placeholders are replaced
    assert "<script" not in page and 'src="http' not in page


def test_the_same_results_give_the_same_pictures(folder: Folder) -> None:
    folder.text()
    first = (folder.results.folder / "forest.svg").read_bytes()
    folder.text()

    assert (folder.results.folder / "forest.svg").read_bytes() == first


def test_a_result_against_itself_shows_no_difference(folder: Folder) -> None:
    out = io.StringIO()
    compare.show(folder.results.folder, folder.results.folder, Console(file=out, width=160))

    assert "no measurable difference" in out.getvalue()
    assert "worse" not in out.getvalue()


def test_a_change_shows_in_the_comparison_unless_the_rates_were_others(folder: Folder, tmp_path: Path) -> None:
    for name, factor, rate in (("slower", 3, 100.0), ("faster load", 3, 200.0)):
        other = Folder(tmp_path / name)
        for number in range(1, 6):
            other.add("asgi", number, factor * (1 + number / 10), rate=rate)
            other.add("asgi again", number, factor * (1 + number / 10), rate=rate)
        out = io.StringIO()
        compare.show(folder.results.folder, other.results.folder, Console(file=out, width=250))

        line = next(line for line in out.getvalue().splitlines() if "p50" in line and "asgi" in line)
        assert "worse" in line and "3 (3 to 3)" in line
        assert ("NOT COMPARABLE" in line) == (rate == 200)


def test_a_step_that_was_cut_off_leaves_no_file(folder: Folder) -> None:
    (folder.results.raw / "00100.new").write_text('{"torn')

    assert not folder.results.has(100)
    assert len(list(folder.results.all())) == 16

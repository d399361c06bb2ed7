"""The report is built from a results folder alone, and says what it does not know."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bench import report
from bench.figures import Figures
from bench.histogram import Histogram
from bench.openload import Result
from bench.results import Results

ABOUT: dict[str, Any] = {
    "begun": "2026-01-01-000000", "mode": "normal", "seed": 1, "objective": 100.0, "workers": 2,
    "arms": ["asgi", "wsgi-sync"], "commands": {"asgi": "gunicorn", "wsgi-sync": "gunicorn -k sync"},
    "remarks": {"asgi": "", "wsgi-sync": "one request at a time"},
    "cpus": {"servers": [0], "generator": [1]}, "machine": {"processor": "<b>test</b>"}, "versions": {},
    "nginx": "events {}", "commit": "abc", "predictions": {"plaintext": {"winner": "asgi", "reason": "parser"}},
}  # fmt: skip


def run(number: int, label: str, number_of_round: int, milliseconds: float, void: str | None = None) -> dict[str, Any]:
    result = Result(offered=1_000, sent=1_000, completed=1_000, seconds=1)
    result.corrected["plaintext"] = Histogram({milliseconds: 980, milliseconds * 3: 20})
    result.uncorrected["plaintext"] = Histogram({milliseconds: 1_000})
    return {
        "number": number, "what": "rate", "workload": "plaintext", "arm": label.removesuffix(" again"), "label": label,
        "round": number_of_round, "rate": 100.0, "fraction": 0.5, "sent": 1_000, "open": 0, "nginx": 1_000,
        "void": void,
        "workers": {"slot-0": 500, "slot-1": 500}, "cpu": {"app": milliseconds / 10, "nginx": 0.01}, "stolen": 0.0,
        "generator": "open load", "result": result.as_dict(),
    }  # fmt: skip


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """Four rounds in which ASGI takes half as long, and one void run."""
    results = Results(tmp_path / "r")
    results.create(ABOUT)
    number = 0
    for number_of_round in range(1, 5):
        for label, milliseconds in (("asgi", 1.0), ("asgi again", 1.02), ("wsgi-sync", 2.0)):
            number += 1
            results.save(number, run(number, label, number_of_round, milliseconds * (1 + number_of_round / 10)))
    results.save(99, run(99, "asgi", 5, 500.0, void="the generator was 99% busy"))
    results.save_extra("verified", {"wsgi-sync": []})
    return results


def printed(results: Results) -> str:
    out = io.StringIO()
    report.build(results.folder, Console(file=out, width=160))
    return out.getvalue()


def test_the_verdict_has_ratio_interval_and_words(results: Results) -> None:
    row = Figures(results).rows()[0]

    assert row.latency.ratio == pytest.approx(0.5, rel=0.02)
    assert row.words == "ASGI better"
    assert row.floor == pytest.approx(0.02, abs=0.01)


def test_void_runs_are_named_and_left_out(results: Results) -> None:
    text = printed(results)

    assert "1 of 13 runs void" in text
    assert "99% busy" in text
    assert "500" not in Figures(results).latencies("plaintext", "asgi", 100.0).as_dict()


def test_what_an_arm_answers_otherwise_and_what_must_be_known_of_it_are_plain_lines(results: Results) -> None:
    results.save_extra("verified", {"wsgi-sync": ["GET /json: one and another"]})

    text = printed(results)

    assert "wsgi-sync ANSWERS OTHERWISE: GET /json: one and another" in text
    assert "wsgi-sync: one request at a time" in text
    assert "answers alike" not in text


def test_the_page_is_whole_in_itself_and_escapes_what_it_shows(results: Results) -> None:
    printed(results)
    page = (results.folder / "report.html").read_text()

    assert page.count("<svg") >= 4 and page.rstrip().endswith("</html>")
    assert "&lt;b&gt;test&lt;/b&gt;" in page and "<b>test</b>" not in page
    assert not re.search("<!-- [A-Z]{4,} -->", page)  # every part is filled in
    assert "<script" not in page and 'src="http' not in page


def test_the_same_results_give_the_same_pictures(results: Results) -> None:
    printed(results)
    first = (results.folder / "forest.svg").read_bytes()
    printed(results)

    assert (results.folder / "forest.svg").read_bytes() == first


def test_a_result_against_itself_shows_no_difference(results: Results) -> None:
    out = io.StringIO()
    report.compare(results.folder, results.folder, Console(file=out, width=160))

    assert "no measurable difference" in out.getvalue()
    assert "worse" not in out.getvalue()


def test_a_step_that_was_cut_off_leaves_no_file(results: Results) -> None:
    (results.raw / "00100.new").write_text('{"torn')

    assert not results.has(100)
    assert len(list(results.all())) == 13

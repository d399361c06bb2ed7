"""`make doctor`: the settings, and what is observed of them."""

import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from functools import partial

import pytest

from slipway.ops import doctor, seen_edge, seen_stack
from slipway.ops.seen_stack import Probe
from slipway.ops.settings import StackSettings, documented
from tests.harness.at_once import at_once
from tests.harness.processes import free_ports, short_folder
from tests.ops.conftest import Verbs

SEEN = (
    "BENCH_ENDPOINTS", "HEADER_TIMEOUT", "HTTP_PORT", "KEEPALIVE", "MAX_BODY_BYTES", "METRICS_PORT", "READY_PATH",
    "WEB_CONCURRENCY", "ALLOWED_HOSTS", "HSTS", "HTTPS", "HTTPS_REDIRECT", "MAX_HEADERS", "MAX_HEADER_BYTES",
    "MAX_LINE_BYTES", "MAX_URI_BYTES", "PROXY_PROTOCOL",
)  # fmt: skip
ROW = re.compile(r"^  (\w+) +(?:as set|DIFFERS|not seen)", re.MULTILINE)
SHORT = {"KEEPALIVE": "4", "HEADER_TIMEOUT": "4"}


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "variables",
    [
        pytest.param({}, id="plain"),
        pytest.param({"ALLOWED_HOSTS": "shop.example"}, id="hosts", marks=pytest.mark.suite),
        pytest.param({"PROXY_PROTOCOL": "1", "TRUSTED_PROXIES": "127.0.0.1"}, id="proxy"),
    ],
)
def test_what_is_set_is_seen(make: Verbs, variables: dict[str, str]) -> None:
    """Each row of the table says "as set", whatever hosts are allowed, and where a proxy must name the client."""
    make.settings |= {**SHORT, **variables, "METRICS_PORT": str(free_ports())}
    up = make("up")
    assert up.returncode == 0, up.stdout + up.stderr
    done = make("doctor")

    assert done.returncode == 0, done.stdout + done.stderr
    assert {*SEEN} <= {*re.findall(r"^  (\w+) +as set", done.stdout, re.MULTILINE)}, done.stdout
    assert "DIFFERS" not in done.stdout


@pytest.fixture(scope="module")
def stack() -> Iterator[Verbs]:
    """A running stack for single probes."""
    with short_folder() as folder:
        verbs = Verbs(folder)
        verbs.migrate()
        verbs.settings |= {**SHORT, "METRICS_PORT": str(free_ports())}
        done = verbs("up")
        assert done.returncode == 0, done.stdout + done.stderr
        yield verbs
        verbs("down")


def differing(stack: Verbs, probes: Iterable[Probe], variable: str, value: str) -> list[str]:
    """Return the settings found to differ when a stack is probed as if it had been started with another value."""
    settings = StackSettings.of({**stack.settings, variable: value}, {})
    return [name for name, _, _, agrees in (probe(settings) for probe in probes) if agrees is False]


OTHERS = {"MAX_BODY_BYTES": "5000", "HEADER_TIMEOUT": "30", "READY_PATH": "/no-such-path", "BENCH_ENDPOINTS": "1"}


@pytest.fixture(scope="module")
def differences(stack: Verbs) -> dict[str, "Future[list[str]]"]:
    """The differences found for each of them, at the same time, since each probe lasts for a time-out."""
    return at_once({name: partial(differing, stack, seen_stack.PROBES, name, value) for name, value in OTHERS.items()})


@pytest.mark.timeout(120)
@pytest.mark.parametrize("variable", OTHERS)
def test_what_differs_is_told(differences: dict[str, "Future[list[str]]"], variable: str) -> None:
    """A stack that was started with another value is detected."""
    assert differences[variable].result() == [variable]


@pytest.mark.parametrize(
    ("variable", "value", "rows"),
    [
        ("MAX_URI_BYTES", "100", ["MAX_URI_BYTES"]),
        ("MAX_LINE_BYTES", "2048", ["MAX_URI_BYTES", "MAX_LINE_BYTES", "MAX_HEADER_BYTES"]),  # the defaults follow it
        ("MAX_HEADER_BYTES", "8192", ["MAX_HEADER_BYTES"]),
        ("MAX_HEADERS", "50", ["MAX_HEADERS"]),
        ("ALLOWED_HOSTS", "shop.example", ["ALLOWED_HOSTS"]),
        ("HTTPS_REDIRECT", "1", ["HTTPS_REDIRECT"]),
        ("HTTPS_PORT", "1", ["HTTPS", "HSTS"]),
        ("HSTS", "off", ["HSTS"]),
        ("SECURITY_CONTACT", "mailto:a@shop.example", ["SECURITY_CONTACT"]),
    ],
)
def test_what_differs_at_nginx_is_told(stack: Verbs, variable: str, value: str, rows: list[str]) -> None:
    """nginx's settings are detected, too; one that shows in other rows is found by those."""
    assert differing(stack, seen_edge.PROBES, variable, value) == rows


@pytest.mark.timeout(120)
def test_every_setting_has_a_row_or_a_reason(stack: Verbs) -> None:
    """Each documented setting is observed, or the table says why it is not; other settings are not mentioned."""
    done = stack("doctor")
    rows = {name for name in ROW.findall(done.stdout) if name.isupper()}
    unseen = [name for names in doctor.UNSEEN.values() for name in names.split()]

    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted([*rows, *unseen, *doctor.WITH_ANOTHER]) == sorted(documented())
    assert {*doctor.WITH_ANOTHER.values()} <= rows
    assert all(name in done.stdout for name in unseen)


@pytest.mark.timeout(120)
def test_nothing_that_runs_is_said(make: Verbs) -> None:
    """Where nothing runs, the exit code is 3."""
    done = make.module("doctor")

    assert done.returncode == 3, done.stdout + done.stderr

"""`make doctor`: what is set and what is seen."""

import re
from collections.abc import Iterator

import pytest

from slipway.ops import doctor
from slipway.ops.settings import StackSettings
from tests.harness.processes import free_ports, short_folder
from tests.ops.conftest import Verbs

SEEN = (
    "BENCH_ENDPOINTS", "HEADER_TIMEOUT", "HTTP_PORT", "KEEPALIVE", "MAX_BODY_BYTES", "METRICS_PORT", "READY_PATH",
    "WEB_CONCURRENCY",
)  # fmt: skip
SHORT = {"KEEPALIVE": "4", "HEADER_TIMEOUT": "4"}


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "variables", [{}, {"ALLOWED_HOSTS": "shop.example"}, {"PROXY_PROTOCOL": "1", "TRUSTED_PROXIES": "127.0.0.1"}],
    ids=["plain", "hosts", "proxy"],
)  # fmt: skip
def test_what_is_set_is_seen(make: Verbs, variables: dict[str, str]) -> None:
    """Each row of the table says so, whatever hosts are known, and where a proxy must name the client."""
    make.settings |= {**SHORT, **variables, "METRICS_PORT": str(free_ports())}
    up = make("up")
    assert up.returncode == 0, up.stdout + up.stderr
    done = make("doctor")

    assert done.returncode == 0, done.stdout + done.stderr
    assert {*SEEN} <= {*re.findall(r"^  (\w+) +as set", done.stdout, re.MULTILINE)}, done.stdout
    assert "DIFFERS" not in done.stdout


@pytest.fixture(scope="module")
def stack() -> Iterator[Verbs]:
    """One that runs, for probes that are asked by themselves."""
    with short_folder() as folder:
        verbs = Verbs(folder)
        verbs.settings |= {**SHORT, "METRICS_PORT": str(free_ports())}
        done = verbs("up")
        assert done.returncode == 0, done.stdout + done.stderr
        yield verbs
        verbs("down")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("variable", "value"),
    [("MAX_BODY_BYTES", "5000"), ("HEADER_TIMEOUT", "30"), ("READY_PATH", "/no-such-path"), ("BENCH_ENDPOINTS", "1")],
)
def test_what_differs_is_told(stack: Verbs, variable: str, value: str) -> None:
    """A stack that was started with another value is found out."""
    settings = StackSettings.of({**stack.settings, variable: value}, {})
    findings = [probe(settings) for probe in doctor.PROBES]

    assert [name for name, _, _, agrees in findings if agrees is False] == [variable]


@pytest.mark.timeout(120)
def test_nothing_that_runs_is_said(make: Verbs) -> None:
    """With the exit code of such a thing."""
    done = make.module("doctor")

    assert done.returncode == 3, done.stdout + done.stderr

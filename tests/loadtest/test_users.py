"""Every user runs against the real app, and notices wrong answers.

Rules: loopback only, a few seconds each, and only processes started here are ended.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import httpx
import pytest

from bench.figures.histogram import Histogram
from slipway.ops import wait
from slipway.ops.settings import ROOT
from tests.bench.fake_servers import freezing, serving, wrong_each
from tests.harness.at_once import at_once
from tests.harness.processes import BIN, Process, free_ports, running
from tests.loadtest.conftest import Locust, Outcome

USERS = {
    "PlaintextUser": "GET /plaintext",
    "JsonUser": "GET /json",
    "DatabaseUser": "GET /db",
    "WaitUser": "GET /wait?ms=100",
    "CpuUser": "GET /cpu?ms=5",
    "SlowBesideFastUser": "GET fast",
    "UploadUser": "POST /echo",
    "CrudUser": "DELETE /api/users/{id}",
    "BrowseUser": "GET /api/users?limit=20",
    "EchoUser": "WS /ws/echo",
    "ChatUser": "WS /ws/chat",
    "EventsUser": "SSE /events",
}


@pytest.fixture(scope="module")
def alone(app: str, locust: Locust, records: Path) -> dict[str, "Future[Outcome]"]:
    """A run of each user alone."""
    cases = {
        user: partial(locust, "-u", "3", "--rate", "4", "--record", str(records / user), user, host=app)
        for user in USERS
    }
    return at_once(cases)


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a record of each run."""
    return tmp_path_factory.mktemp("records")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("user", "name"), USERS.items())
def test_a_user_runs_alone_without_failure(
    alone: dict[str, "Future[Outcome]"], records: Path, user: str, name: str
) -> None:
    outcome = alone[user].result()

    assert outcome.code == 0, outcome.output
    found = json.loads((records / user).read_text())
    assert sum(found["corrected"][name].values()) >= 3
    assert sum(found["uncorrected"][name].values()) == sum(found["corrected"][name].values())
    assert found["failures"] == {}


def test_without_a_name_it_is_a_mix_of_what_every_stack_offers(app: str, locust: Locust) -> None:
    outcome = locust("-u", "20", host=app, seconds=3)

    assert outcome.code == 0, outcome.output
    assert "/api/users" in outcome.output and "/ws/echo" in outcome.output
    assert "/cpu" not in outcome.output


def test_several_processes_add_up(app: str, locust: Locust, tmp_path: Path) -> None:
    record = tmp_path / "record.json"

    outcome = locust(
        "--processes", "2", "-u", "4", "--rate", "10", "--record", str(record), "PlaintextUser", host=app, seconds=4
    )

    assert outcome.code == 0, outcome.output
    count = sum(json.loads(record.read_text())["corrected"]["GET /plaintext"].values())
    total = int(re.findall(r"Aggregated\s+(\d+)", outcome.output)[0])
    assert count == total > 60


def test_master_and_worker_share_the_work(app: str, locust: Locust, tmp_path: Path) -> None:
    port = str(free_ports())
    command = [str(BIN / "locust"), "-f", "loadtest", "--worker", "--master-port", port]
    with running(Process(command, tmp_path / "worker.log")) as worker:
        outcome = locust(
            "--master", "--master-bind-port", port, "--expect-workers", "1", "-u", "2", "EchoUser", host=app, seconds=4
        )
        assert outcome.code == 0, outcome.output
        assert "WS /ws/echo" in outcome.output
        assert wait.until(lambda: worker.code == 0, 10)


@pytest.mark.parametrize("how", [(), ("--processes", "2"), ("--master", "--master-bind-port", "0")])
def test_a_stack_that_is_down_ends_with_a_message_and_no_load(locust: Locust, how: tuple[str, ...]) -> None:
    """No process is left behind, also of several: the output of all of them ends."""
    how = tuple(str(free_ports()) if argument == "0" else argument for argument in how)
    begun = time.monotonic()
    outcome = locust(*how, "PlaintextUser", host=f"http://127.0.0.1:{free_ports()}")

    assert outcome.code == 3
    assert outcome.output.count("Is the stack up? `make up` starts it.") == 1
    assert time.monotonic() - begun < 20


def test_no_host_ends_with_the_one_to_give(locust: Locust, tmp_path: Path) -> None:
    """The users of loadtest/ have a default host, but a user of a project may have none."""
    own = tmp_path / "own.py"
    own.write_text(
        "from locust import task\n"
        "from loadtest._user import ScheduledUser\n"
        "class OwnUser(ScheduledUser):\n"
        "    host = None\n"
        "    @task\n"
        "    def nothing(self) -> None: ...\n"
    )

    outcome = locust(host=None, file=str(own))

    assert outcome.code == 3
    assert "No host: add --host http://127.0.0.1:8080" in outcome.output


def test_a_host_that_is_no_address_ends_with_a_message(locust: Locust) -> None:
    outcome = locust("PlaintextUser", host="nonsense")

    assert outcome.code == 3
    assert "nonsense/plaintext does not answer" in outcome.output


def test_an_app_without_the_endpoint_ends_with_a_hint(locust: Locust) -> None:
    with serving(lambda request, now: (0, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")) as port:
        outcome = locust("PlaintextUser", host=f"http://127.0.0.1:{port}")

    assert outcome.code == 3
    assert "BENCH_ENDPOINTS=1" in outcome.output


@pytest.mark.parametrize("how", [(), ("--processes", "2")])
def test_a_wrong_answer_is_a_failure_with_what_was_wrong(locust: Locust, how: tuple[str, ...]) -> None:
    with serving(wrong_each(5)) as port:
        outcome = locust(*how, "-u", "2", "PlaintextUser", host=f"http://127.0.0.1:{port}", seconds=3)

    assert outcome.code == 1
    assert "wrong body b'Hello, Wirld!'" in outcome.output


def test_a_server_that_freezes_is_seen_from_the_intended_start_alone(locust: Locust, tmp_path: Path) -> None:
    """With 1 s in every 5 frozen, a fifth of all starts wait 0.5 s on average, though few requests are under way."""
    record = tmp_path / "record.json"

    with serving(freezing(period=5.0, frozen=1.0)) as port:
        host = f"http://127.0.0.1:{port}"
        locust("-u", "10", "--rate", "10", "--record", str(record), "PlaintextUser", host=host, seconds=12)

    found = json.loads(record.read_text())
    corrected, uncorrected = (Histogram(found[key]["GET /plaintext"]) for key in ("corrected", "uncorrected"))
    assert corrected.percentile(90) > 300
    assert uncorrected.percentile(90) < 50


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[str, Process]]:
    """The address and the process of locust's page."""
    port = free_ports()
    command = [str(BIN / "locust"), "-f", "loadtest", "--web-host", "127.0.0.1", "--web-port", str(port)]
    with running(Process(command, tmp_path / "log")) as process:
        assert wait.until(lambda: not wait.is_free("127.0.0.1", port), 20)
        yield f"http://127.0.0.1:{port}", process


def test_the_page_opens_with_the_host_filled_in(page: tuple[str, Process]) -> None:
    text = httpx.get(page[0]).text

    assert "http://127.0.0.1:8080" in text.replace("\\/", "/")


def test_the_page_says_that_the_stack_is_down_and_stops(page: tuple[str, Process]) -> None:
    url, process = page
    host = f"http://127.0.0.1:{free_ports()}"
    httpx.post(f"{url}/swarm", data={"user_count": 1, "spawn_rate": 1, "host": host}).raise_for_status()

    assert wait.until(lambda: httpx.get(f"{url}/stats/requests").json()["state"] == "stopped", 10)
    assert process.logged(f"{host}/api/users does not answer") or process.logged(f"{host}/livez does not answer")


def test_no_file_is_loaded_that_is_not_meant_to_be() -> None:
    done = subprocess.run(
        [str(BIN / "locust"), "-f", "loadtest", "--list"], cwd=ROOT, capture_output=True, text=True, timeout=30
    )

    assert set(re.findall(r"\w+User\b", done.stdout)) == set(USERS)

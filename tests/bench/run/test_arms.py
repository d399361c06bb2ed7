"""Every arm is started as by the benchmark.

Rules: loopback and unix sockets only, every wait is bounded, and only processes started here are ended.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bench.figures import agreement, verify
from bench.load import idle
from bench.run import arms, counters, dataset, machine, stack
from bench.run.arms import ASGI, BY_NAME, GTHREAD, SYNC, Arm, chosen
from bench.run.stack import RunningArm
from slipway.ops import wait
from slipway.project import Project
from tests.harness import servers
from tests.harness.servers import Postgres
from tests.harness.walks import walk

Serve = Callable[[Arm], AbstractContextManager[RunningArm]]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Start an arm with two workers over the shared database."""
    folder = tmp_path_factory.mktemp("arms")
    environment, _ = dataset.prepare(folder / "data")
    cpus = machine.Cpus((), ())

    def start(arm: Arm) -> AbstractContextManager[RunningArm]:
        logs = tmp_path_factory.mktemp(arm.name)  # a folder for each start: the reference is tested as an arm too
        return stack.serving(arm, workers=2, cpus=cpus, logs=logs, environment=environment)

    return start


@pytest.fixture(scope="module")
def reference(serve: Serve) -> Iterator[RunningArm]:
    """The arm that every other arm is compared with."""
    with serve(ASGI) as up:
        yield up


@pytest.mark.parametrize("arm", walk(BY_NAME, ASGI.name, SYNC.name, GTHREAD.name))
def test_an_arm_answers_like_the_reference_and_counts_what_nginx_passed_on(
    serve: Serve, reference: RunningArm, arm: Arm
) -> None:
    """Each arm answers as the reference, byte for byte, ASGI arms echo on websockets, and no count is missing."""
    with serve(arm) as up:
        assert verify.differences(reference.port, up.port, seed=1) == []
        if arm.asgi:
            with idle.websockets(up.port, 4) as sockets:
                assert len(sockets) == 4
        workers = 1 if arm.one_process else 2
        assert len(up.worker_pids()) >= workers

    _, passed = counters.nginx_counts(up.proxy.log)
    assert passed.requests > len(verify.verification_requests(1)) / 2
    assert agreement.app_mismatch(passed.requests, up.counted) is None


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with servers.postgres() as server:
        yield server


@pytest.mark.parametrize(
    ("arm", "connections"), walk({"asgi": (ASGI, 4), "gthread": (GTHREAD, 4), "sync": (SYNC, 2)}, "asgi")
)
def test_the_arms_of_every_run_may_open_the_same_database_connections(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arm: Arm, connections: int
) -> None:
    """Clients do not change the number; a `sync` worker needs one connection, since it serves one request at a time."""
    monkeypatch.setenv("DATABASE_URL", url := postgres.new_database())
    monkeypatch.setenv("DATABASE_CONNECTIONS", "8")  # two workers and, during a reload, their two successors
    environment, _ = dataset.prepare(tmp_path / "data")
    with (
        stack.serving(arm, workers=2, cpus=machine.Cpus((), ()), logs=tmp_path, environment=environment) as up,
        ThreadPoolExecutor(32) as clients,
        postgres.connect(url) as session,
    ):
        statuses = {code for code, _ in clients.map(lambda number: wait.get(f"{up.origin}/db", 10), range(600))}
        row = session.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()

    assert statuses == {200}
    assert row == (connections + 1,)  # one is the test's own


def test_every_run_has_the_three_arms_and_those_that_are_asked_for_once() -> None:
    assert [arm.name for arm in chosen("granian, asgi,granian")] == ["asgi", "wsgi-sync", "wsgi-gthread", "granian"]


def test_an_app_without_a_twin_is_measured_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other servers would need the benchmark's endpoints, which the app lacks."""
    monkeypatch.setattr(arms, "PROJECT", Project("mine:application"))

    assert chosen("") == [ASGI]
    with pytest.raises(ValueError, match="an app with a WSGI twin"):
        chosen("granian")


def test_an_unknown_server_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'apache' is unknown"):
        chosen("uvicorn,apache")

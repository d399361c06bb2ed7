"""Changes to a running stack: applied or refused by name, without a lost request, and resumed after an interruption."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from slipway.ops import wait
from slipway.ops.load import load
from slipway.ops.settings import ROOT, StackSettings
from tests.docker.conftest import ANY_CHARACTERS, Containers
from tests.docker.test_containers import lost

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def settings(containers: Containers) -> StackSettings:
    """The settings of a client that puts load on the stack."""
    return replace(StackSettings.load(), host="127.0.0.1", http_port=containers.port)


@pytest.fixture
def restored(containers: Containers) -> Iterator[Containers]:
    """The stack with its own settings again after the test."""
    yield containers
    containers.up()


def apps(containers: Containers) -> list[str]:
    """Return the ids of the app's containers."""
    return containers.ids("app")


def test_number_of_workers_goes_up_and_down(restored: Containers, settings: StackSettings) -> None:
    """Each deploy serves all its slots, and the old container does not remove those of the new one."""
    with load(settings, "/version") as seen:
        for workers in ("4", "1", "3"):  # from two
            done = restored.make("deploy", WEB_CONCURRENCY=workers)
            assert done.returncode == 0, done.stdout + done.stderr
            listed = restored.compose("exec", "-T", "app", "cat", "/run/slipway/slots.conf").splitlines()
            assert len(listed) == int(workers)

    assert not seen.failures, lost(seen)
    restored.compose("restart", "nginx")
    assert wait.until(lambda: wait.get(f"{restored.url}/readyz")[0] == 200, 5)


def test_limit_of_bodies_reaches_nginx(restored: Containers, settings: StackSettings) -> None:
    """A new body limit applies without a lost request, in the same container, and still after its restart."""
    nginx = restored.container("nginx")
    with load(settings, "/version") as seen:
        done = restored.make("deploy", MAX_BODY_BYTES="20000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not seen.failures, lost(seen)

    def statuses() -> list[int]:
        return [httpx.post(f"{restored.url}/echo", content=b"x" * size).status_code for size in (20_000, 20_001)]

    assert wait.until(lambda: statuses() == [200, 413], 5)
    restored.compose("restart", "nginx")
    assert wait.until(lambda: wait.get(f"{restored.url}/readyz")[0] == 200, 5)
    assert statuses() == [200, 413]
    assert restored.container("nginx") == nginx


@pytest.mark.parametrize(("name", "value"), [("HTTP_PORT", "1"), ("HOST", "127.0.0.2")])
@pytest.mark.parametrize("verb", ["up", "deploy"])
def test_address_is_refused_by_name(containers: Containers, verb: str, name: str, value: str) -> None:
    """Settings that only a new container of nginx can have are refused by name, and the running containers stay."""
    before = containers.container()
    done = containers.make(verb, **{name: value})

    assert done.returncode != 0
    assert f"{name}='{value}' is not allowed" in done.stderr
    assert "`make down` and `make up`" in done.stderr
    assert containers.container() == before


def test_up_of_a_broken_app_leaves_what_serves(containers: Containers, settings: StackSettings) -> None:
    """`make up` of an app that does not start prints the reason once, keeps the containers and loses no request."""
    before = apps(containers)
    with load(settings, "/version") as seen:
        done = containers.make("up", APP="no_such_module:app")

    assert done.returncode != 0
    assert done.stderr.count("No module named 'no_such_module'") == 1, done.stderr
    assert apps(containers) == before
    assert not seen.failures, lost(seen)


@pytest.mark.parametrize(
    ("stage", "running"), [("image", 1), ("new container", 1), ("new container", 2), ("old container drains", 1)]
)
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.suite)])
def test_interrupted_deploy_can_be_taken_up_again(
    containers: Containers, settings: StackSettings, stage: str, running: int, number: int
) -> None:
    """After an interruption at any stage, the next change leaves one container in service, and no request is lost."""
    with load(settings, "/version") as seen:
        containers.interrupt("deploy", stage, number, lambda: len(apps(containers)) >= running)
        done = containers.make("up")
        assert done.returncode == 0, done.stdout + done.stderr

    assert not seen.failures, lost(seen)
    assert len(apps(containers)) == 1


TURN = "cd /run/slipway; for n in {}; do ln -sf $(cat /etc/hostname)-$n.sock turned; mv -T turned slot-$n.sock; done"
INTERRUPTED = """
import os, signal, sys
from slipway.ops import verbs
from slipway.ops.containers import AppContainers
ctl = AppContainers.ctl
def half(self, container, verb):
    if verb != "publish" or half.done:
        return ctl(self, container, verb)
    half.done = True
    self._engine.docker("exec", container, "sh", "-c", {turn!r})
    os.kill(os.getpid(), signal.{signal})
half.done = False
AppContainers.ctl = half
sys.argv = ["ops", "deploy"]
verbs.main()
"""


@pytest.mark.parametrize(
    ("numbers", "name"),
    [("0", "SIGKILL"), ("1", "SIGKILL"), ("1", "SIGINT")],
    ids=["first-link-killed", "last-link-killed", "last-link-interrupted"],
)
def test_interrupted_while_it_publishes(
    containers: Containers, settings: StackSettings, numbers: str, name: str
) -> None:
    """When nginx's links lead partly to the new and partly to the old container, the next `make up` keeps one."""
    code = INTERRUPTED.format(turn=TURN.format(numbers), signal=name)
    with load(settings, "/version") as seen:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=containers.env, capture_output=True, timeout=120)
        done = containers.make("up")
        assert done.returncode == 0, done.stdout + done.stderr

    assert not seen.failures, lost(seen)
    assert len(apps(containers)) == 1
    links = containers.compose("exec", "-T", "app", "sh", "-c", "readlink /run/slipway/slot-*").split()
    assert len({*links}) == 2
    assert len({link.rpartition("-")[0] for link in links}) == 1  # both lead to one container's sockets


def test_read_timeout_reaches_nginx(restored: Containers, settings: StackSettings) -> None:
    """A new PROXY_READ_TIMEOUT applies without a lost request, in the same container."""
    nginx = restored.container("nginx")
    with load(settings, "/version") as seen:
        done = restored.make("deploy", PROXY_READ_TIMEOUT="21")
    assert done.returncode == 0, done.stdout + done.stderr
    text = restored.compose("exec", "-T", "nginx", "nginx", "-T")

    assert not seen.failures, lost(seen)
    assert "proxy_read_timeout 21s;" in text
    assert "has not taken its new settings" not in done.stdout
    assert restored.container("nginx") == nginx


def test_changed_file_of_nginx_is_taken_up(containers: Containers, settings: StackSettings) -> None:
    """nginx loads a changed file without a verb or a lost request; an invalid file is logged and changes nothing."""
    path = ROOT / "nginx" / "types.conf"
    before = path.read_text()

    try:
        with load(settings, "/version") as seen:
            pids = workers_of_nginx(containers)
            path.write_text(f"{before}# changed\n")
            assert wait.until(lambda: workers_of_nginx(containers).isdisjoint(pids), 20)
            pids = workers_of_nginx(containers)
            path.write_text(f"{before}no_such_directive;\n")
            assert wait.until(lambda: any("no_such_directive" in line for line in containers.log("nginx")), 20)
            assert workers_of_nginx(containers) == pids
    finally:
        path.write_text(before)

    assert not seen.failures, lost(seen)


def test_nginx_waits_its_turn(containers: Containers) -> None:
    """A container's limits allow nginx SCHED_BATCH: tests/live/test_edge_processes.py has the reason."""
    assert {os.sched_getscheduler(int(pid)) for pid in workers_of_nginx(containers)} == {os.SCHED_BATCH}


def workers_of_nginx(containers: Containers) -> set[str]:
    """Return the pids of nginx's workers that accept connections."""
    listed = containers.docker("top", containers.container("nginx"), "-o", "pid,args").splitlines()
    return {line.split()[0] for line in listed if "nginx: worker process" in line and "shutting" not in line}


def test_reload_of_changed_code_is_refused(containers: Containers, tmp_path: Path) -> None:
    """A container keeps the code of its image, so `make reload` of changed code is refused and names `make deploy`."""
    folder = tmp_path / "tree"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".git", ".run", "__pycache__", ".*_cache"))
    (folder / "app" / "main.py").write_text((ROOT / "app" / "main.py").read_text() + "# changed\n")
    (folder / "app" / "new.py").write_text("")
    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}", "reload"], cwd=folder, env=containers.env, capture_output=True, text=True
    )

    assert done.returncode != 0
    assert "app/main.py and 1 more changed since the image was built" in done.stderr
    assert "`make deploy`" in done.stderr


def test_project_of_another_folder_is_refused(containers: Containers) -> None:
    """Verbs refuse a project that belongs to another folder, and leave its containers as they are."""
    name = f"{containers.project}-other"
    labels = {"project": name, "project.working_dir": "/elsewhere"}
    options = [word for key, value in labels.items() for word in ("--label", f"com.docker.compose.{key}={value}")]
    other = containers.docker("create", *options, "nginx:1.30").strip()
    try:
        for verb in ("up", "deploy", "down"):
            done = containers.make(verb, COMPOSE_PROJECT_NAME=name)

            assert done.returncode != 0
            assert f"the project {name} is /elsewhere's on this engine; set COMPOSE_PROJECT_NAME" in done.stderr
        assert containers.docker("ps", "--all", "--quiet", "--no-trunc", "--filter", f"id={other}").strip() == other
    finally:
        containers.docker("rm", other)


@pytest.mark.parametrize("name", ["POSTGRES_PASSWORD", "REDIS_PASSWORD"])
def test_other_password_is_refused_by_name(containers: Containers, name: str) -> None:
    """A changed password is refused by name, since the server keeps its first one, and the message shows neither."""
    before = apps(containers)
    done = containers.make("up", **{name: "not-this-one"})

    assert done.returncode != 0
    assert f"{name}=" in done.stderr
    assert "not-this-one" not in done.stdout + done.stderr
    assert apps(containers) == before


def test_no_password_is_shown(containers: Containers) -> None:
    """No password is in a log or in the output of `docker inspect`, health checks included."""
    ids = containers.compose("ps", "--all", "--quiet").split()
    said = [containers.compose("logs"), containers.docker("inspect", *ids)]
    found = [name for name in ("POSTGRES_PASSWORD", "REDIS_PASSWORD") for text in said if containers.env[name] in text]

    assert not found
    assert json.dumps(ANY_CHARACTERS)[1:-1] not in said[1]  # as `inspect` would print it


def test_stopped_nginx_ends_by_itself(restored: Containers) -> None:
    """A stopping nginx with an open websocket exits by itself once it has cut the websocket; it is not killed."""
    with connect(f"ws://127.0.0.1:{restored.port}/ws/echo", origin=Origin(restored.url)):
        nginx = restored.container("nginx")
        restored.compose("stop", "nginx")

    assert restored.docker("inspect", "--format", "{{.State.ExitCode}}", nginx).strip() == "0"


def test_image_from_elsewhere_and_back(restored: Containers, settings: StackSettings) -> None:
    """A tagged image is deployed as it is, a rollback returns to the one before, and no request is lost."""
    before = restored.inspect("{{.Config.Image}}")
    other = f"{restored.project}:elsewhere"
    restored.docker("build", "--quiet", "--target", "app", "--build-arg", "COMMIT=elsewhere", "--tag", other, str(ROOT))
    try:
        with load(settings, "/version") as seen:
            for verb, image, served in (("deploy", other, other), ("rollback", "", before)):
                done = restored.make(verb, **({"SLIPWAY_IMAGE": image} if image else {}))

                assert done.returncode == 0, done.stdout + done.stderr
                assert restored.inspect("{{.Config.Image}}") == served
        assert not seen.failures, lost(seen)
        assert wait.get(f"{restored.url}/version")[1]["commit"] != "elsewhere"
    finally:
        restored.docker("image", "rm", "--force", other)


def test_other_image_is_told(restored: Containers, tmp_path: Path) -> None:
    """A newer image of nginx waits for a stop and a start, since the old container has the ports, and `up` says so."""
    image, files = restored.other_nginx("FROM nginx:1.30\nLABEL newer=yes\n", tmp_path)
    before = restored.container("nginx")
    done = restored.make("up", COMPOSE_FILE=files)
    again = restored.make("up")
    restored.docker("image", "rm", image)

    told = "there is another image now for nginx: `make down` and `make up` take it"
    assert (done.returncode, told in done.stdout) == (0, True), done.stdout + done.stderr
    assert told not in again.stdout
    assert restored.container("nginx") == before

"""Guarantees of the containers beyond the contract, which tests/app/contract checks through their published port."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from slipway.ops import wait
from slipway.ops.load import Load, load
from slipway.ops.settings import ROOT, StackSettings
from tests.docker.conftest import ANY_CHARACTERS, Containers
from tests.harness.following import followed

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def settings(containers: Containers) -> StackSettings:
    """The settings of a client that puts load on the stack."""
    return replace(StackSettings.load(), host="127.0.0.1", http_port=containers.port)


def lost(seen: Load) -> str:
    return f"{len(seen.failures)} of {len(seen.latencies)} lost: {seen.failures[:3]}"


def test_every_service_is_up_and_postgres_and_redis_are_in_use(containers: Containers) -> None:
    """All four services run, and the app reports that its database and bus answer."""
    services = containers.compose("ps", "--services", "--status", "running").split()
    status, body = wait.get(f"{containers.url}/readyz")

    assert sorted(services) == ["app", "db", "nginx", "redis"]
    assert (status, body["checks"]) == (200, {"database": "pass", "bus": "pass", "draining": "pass"})
    assert "postgresql" in containers.compose("exec", "-T", "app", "env")


def test_the_contract_holds_through_the_published_port(containers: Containers) -> None:
    """The contract tests pass through the published port as they do against servers outside containers."""
    aside = [f"--ignore=tests/app/contract/{name}.py" for name in ("test_baseline", "test_description", "test_states")]
    command = [sys.executable, "-m", "pytest", "-q", "tests/app/contract", *aside]
    env = {**os.environ, "CONTRACT_URL": containers.url}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280)

    assert done.returncode == 0, done.stdout[-8_000:]


def test_users_survive_down_and_up(containers: Containers) -> None:
    """Users are kept in PostgreSQL's named volume, which a clone with another password opens, too."""
    name = f"kept {time.monotonic_ns()}"
    created = httpx.post(f"{containers.url}/api/users", json={"name": name})
    assert created.status_code == 201

    for settings in ({"POSTGRES_PASSWORD": ANY_CHARACTERS}, {}):
        assert containers.make("down").returncode == 0
        assert containers.compose("ps", "--all", "--quiet") == ""
        containers.up(**settings)

        assert httpx.get(f"{containers.url}{created.headers['location']}").json() == created.json()


def test_the_app_runs_hardened(containers: Containers) -> None:
    """The app runs without root or capabilities, writes to memory only, has limits, and is restarted when it dies."""
    template = (
        "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} "
        "{{.HostConfig.RestartPolicy.Name}} {{.Config.StopSignal}} {{gt .HostConfig.Memory 0}} "
        "{{.HostConfig.PidsLimit}}"
    )

    assert containers.inspect(template) == ("10001:10001 true [ALL] [no-new-privileges:true] always SIGTERM true 256")
    assert containers.inspect("{{.HostConfig.ReadonlyRootfs}}", "nginx") == "true"


def test_gunicorn_is_the_first_process(containers: Containers) -> None:
    """gunicorn is the container's first process: no shell stands between Docker's SIGTERM and the arbiter."""
    assert "gunicorn" in Path(f"/proc/{containers.inspect('{{.State.Pid}}')}/cmdline").read_text()


def test_the_image_has_no_build_tools(containers: Containers) -> None:
    """The final image has the app and its environment: no compiler, and no pip in the environment."""
    found = containers.compose("exec", "-T", "app", "sh", "-c", "command -v gcc cc make; ls /venv/bin")

    assert "gunicorn" in found
    assert not re.search(r"^(/\S*/)?(gcc|cc|make|pip3?)$", found, re.MULTILINE)


def test_logs_are_json_and_carry_the_request_id(containers: Containers) -> None:
    """nginx's log line and the app's record of a request have the id that the client received."""
    answer = httpx.get(f"{containers.url}/version")
    request_id = answer.headers["x-request-id"]

    def lines() -> list[str]:
        return [line for service in ("app", "nginx") for line in containers.log(service) if request_id in line]

    assert wait.until(lambda: len(lines()) == 2, 10), lines()
    assert sorted(json.loads(line)["logger"] for line in lines()) == ["access", "nginx"]


def test_logs_of_one_request(containers: Containers) -> None:
    """`make logs REQUEST=id` shows both records of one request, readable, and nothing of any other."""
    asked = [httpx.get(f"{containers.url}/version") for _ in range(3)]
    request_id = asked[1].headers["x-request-id"]
    lines = followed("logs", containers.root, {**containers.env, "REQUEST": request_id}, request_id, 2)

    assert sorted(line.split()[2] for line in lines if "GET /version 200" in line) == ["access", "nginx"]
    assert all(request_id in line for line in lines if not line.startswith(("make", "canceled")))


def test_stop_with_an_open_stream_is_graceful(containers: Containers) -> None:
    """An open event stream does not delay the stop: exit code 0, well within the grace period."""
    with httpx.stream("GET", f"{containers.url}/events", timeout=30) as stream:
        chunks = stream.iter_text()
        assert "hello" in next(chunks)
        start = time.monotonic()
        containers.compose("stop", "app")
        seconds = time.monotonic() - start
        rest = "".join(chunks)

    assert "retry: " in rest
    assert containers.compose("ps", "--all", "--format", "{{.ExitCode}}", "app").strip() == "0"
    assert seconds < 12
    status, body = wait.get(f"{containers.url}/")
    assert (status, body["title"]) == (502, "Bad Gateway")
    containers.up()


def test_reload_under_load_loses_nothing(containers: Containers, settings: StackSettings) -> None:
    """A reload replaces the workers in the running container and loses no request."""
    with load(settings, "/version") as seen:
        done = containers.make("reload")

    assert done.returncode == 0, done.stderr
    assert not seen.failures, lost(seen)
    assert "make deploy" not in done.stdout


def test_reload_says_what_new_settings_need(containers: Containers) -> None:
    """A container keeps the settings it was created with, and `make reload` names the verb that applies new ones."""
    done = containers.make("reload", LOG_LEVEL="debug")

    assert done.returncode == 0, done.stderr
    assert "`make deploy` takes the new ones" in done.stdout


def test_deploy_under_load_loses_nothing(containers: Containers, settings: StackSettings) -> None:
    """The new container takes over while the old one drains, and no request is lost."""
    before = containers.container()
    with load(settings, "/version") as seen:
        done = containers.make("deploy")

    assert done.returncode == 0, done.stdout + done.stderr
    assert (after := containers.container()) != before
    assert not seen.failures, lost(seen)
    assert "make deploy" not in containers.make("reload").stdout
    containers.up()
    assert containers.container() == after


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"APP": "no_such_module:app"}, "the new container ended; the old one still serves"),
        ({"BUS_URL": "redis://127.0.0.1:1/0"}, "the new container did not become healthy; the old one still serves"),
    ],
    ids=["does-not-start", "is-not-healthy"],
)
def test_deploy_of_what_does_not_serve_leaves_the_old_one(
    containers: Containers, settings: StackSettings, broken: dict[str, str], reason: str
) -> None:
    """A new container that ends or stays unhealthy is removed; the old one keeps serving, and the command fails."""
    before = containers.container()
    with load(settings, "/version") as seen:
        done = containers.make("deploy", **broken)

    assert done.returncode != 0
    assert reason in done.stderr
    assert containers.container() == before
    assert not seen.failures, lost(seen)


@pytest.mark.alone
def test_prove_keeps_every_promise(containers: Containers) -> None:
    """`make prove` keeps every promise on the containers."""
    done = containers.make("prove")

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("kept  ") >= 7


def test_nothing_in_the_dockerfile_needs_more_than_the_registries() -> None:
    """The Dockerfile pulls no syntax image, and its command is in exec form."""
    text = (ROOT / "Dockerfile").read_text()

    assert "syntax=" not in text
    assert re.search(r'^CMD \["gunicorn", "-k", "uvicorn.workers.UvicornWorker"\]$', text, re.MULTILINE)

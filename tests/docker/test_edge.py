"""nginx in its container: how it follows the machine's limits, and the room for incoming bodies."""

import asyncio
import json
import re
from collections.abc import Iterator

import pytest

from slipway.ops import bodies, wait
from slipway.ops.settings import ROOT
from tests.docker.conftest import Containers

pytestmark = pytest.mark.timeout(300)

LIMIT = 1 << 20
STALLED = 300


@pytest.fixture(scope="module")
def large_bodies(containers: Containers) -> Iterator[Containers]:
    """The stack with the default body limit."""
    containers.up(MAX_BODY_BYTES=str(LIMIT))
    yield containers
    containers.up()


def configured(containers: Containers, *options: str) -> str:
    """Return the output of `nginx -T` in a container with these limits."""
    environment = json.loads(containers.inspect("{{json .Config.Env}}", "nginx"))
    settings = [word for value in [*environment, "NGINX_SETTINGS=", "PRIVATE_PATHS="] for word in ("--env", value)]
    tmpfs = [
        "/run/slipway:uid=101",
        "/tmp/nginx:uid=101,mode=0700",
        "/tmp/nginx/client_body:uid=101,mode=0700,size=768m",
    ]
    mounts = [word for mount in tmpfs for word in ("--tmpfs", mount)]
    mounts += [
        "--volume",
        f"{ROOT}/nginx:/etc/nginx/slipway:ro",
        "--volume",
        f"{ROOT}/nginx/main.conf:/etc/nginx/nginx.conf:ro",
    ]
    command = [
        "--user",
        "101:101",
        "--entrypoint",
        "sh",
        "nginx:1.30",
        "/etc/nginx/slipway/container.sh",
        "nginx",
        "-T",
    ]
    return containers.docker("run", "--rm", *options, *settings, *mounts, *command)


@pytest.mark.parametrize(("cpus", "workers"), [("0.5", "1"), ("1.5", "1")])
@pytest.mark.parametrize(("files", "connections"), [(1_024, "682"), (20_000, "13333")])
def test_workers_and_connections_fit_the_limits(
    containers: Containers, cpus: str, workers: str, files: int, connections: str
) -> None:
    """The numbers of workers and connections follow the container's CPU quota and its limit of open files."""
    text = configured(containers, f"--cpus={cpus}", f"--ulimit=nofile={files}:{files}")

    assert f"worker_processes {workers};" in text
    assert f"worker_connections {connections};" in text


def test_low_limit_of_files_is_told(containers: Containers) -> None:
    """The machine's hard limit of open files is used as it is, and a warning is logged if it limits the connections."""
    containers.compose("restart", "nginx")  # the warning comes at each start; a rotated log has lost earlier ones
    assert wait.until(lambda: containers.status("/livez") == 200, 30)
    hard = int(containers.compose("exec", "-T", "nginx", "sh", "-c", "ulimit -H -n"))
    told = [line for line in containers.log("nginx") if "the limit of open files is" in line]

    assert bool(told) == (hard * 2 // 3 <= 16_384)
    assert all(json.loads(line)["level"] == "WARNING" for line in told)


def test_room_is_what_the_container_has(containers: Containers) -> None:
    """The limits of nginx's uploads come from the file system mounted in its container."""
    text = containers.compose("exec", "-T", "nginx", "cat", "/tmp/nginx/nginx.conf")
    limits = bodies.limits(bodies.container_room(), int(containers.env["MAX_BODY_BYTES"]))

    for name, value in limits.items():
        assert f"limit_conn {name.lower()} {value};" in text


def test_body_that_fits_into_no_room_is_refused_by_name(containers: Containers) -> None:
    """A MAX_BODY_BYTES that fits into no room is refused by name before anything is changed."""
    done = containers.make("deploy", MAX_BODY_BYTES=str(1 << 30))

    assert done.returncode != 0
    assert "MAX_BODY_BYTES='1073741824' is not allowed: at most 566231040 in containers" in done.stderr


def from_inside(containers: Containers, size: int) -> str:
    """Return the status of a POST from nginx's own container, which is another client than this machine."""
    post = "curl -s -o /dev/null -w '%{http_code}' -m 20 -H 'Content-Type: text/plain' --data-binary @-"
    command = f"head -c {size} /dev/zero | {post} http://127.0.0.1:8080/echo"
    return containers.compose("exec", "-T", "nginx", "sh", "-c", command).strip()


async def test_uploads_that_stop_take_no_room_of_others(large_bodies: Containers) -> None:
    """While 300 uploads of one client lack their last byte, another's POSTs succeed, within nginx's memory limit."""
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % LIMIT
    before = large_bodies.inspect("{{.State.Pid}}", "nginx")
    writers = []
    try:
        for _ in range(STALLED):
            _, writer = await asyncio.open_connection("127.0.0.1", large_bodies.port)
            writers.append(writer)
            writer.write(head + b"x" * (LIMIT - 1))
        await asyncio.wait([asyncio.create_task(writer.drain()) for writer in writers], timeout=20)
        statuses = [from_inside(large_bodies, size) for size in (100, 50_000, LIMIT)]
    finally:
        for writer in writers:
            writer.transport.abort()

    assert statuses == ["200", "200", "200"]
    assert large_bodies.inspect("{{.State.Pid}}", "nginx") == before
    assert wait.get(f"{large_bodies.url}/readyz")[0] == 200
    assert not [line for line in large_bodies.log("nginx") if re.search(r'"status":500|No space left', line)]

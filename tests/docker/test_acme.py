"""ACME_DOMAINS in containers: certbot gets a certificate over the stack, renews it, and ends with the setting."""

import asyncio
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway.ops import acme
from tests.docker.conftest import Containers
from tests.harness.authority import EAGER, ISSUER, write_configuration
from tests.harness.edge import exchange, message
from tests.harness.processes import short_folder, until
from tests.harness.tls import shown_certificate

pytestmark = [pytest.mark.suite, pytest.mark.timeout(600)]

DOMAIN = "shop.test"
LIFETIME = 40  # a certificate's lifetime in seconds; certbot renews in its second half
SECONDS = 120.0
NGINX_PORT = 8080  # in its container


@contextmanager
def authority(containers: Containers, folder: Path) -> Iterator[None]:
    """Run Pebble in a container beside nginx that resolves the domain to nginx's address."""
    network = f"{containers.project}_front"
    address = containers.inspect(f'{{{{(index .NetworkSettings.Networks "{network}").IPAddress}}}}', "nginx")
    where = ["--network", network, "--network-alias", "pebble", "--add-host", f"{DOMAIN}:{address}"]
    files = ["--volume", f"{folder}:{folder}:ro", "--volume", "/usr/bin/pebble:/usr/bin/pebble:ro"]
    eager = [word for name, value in EAGER.items() for word in ("--env", f"{name}={value}")]
    command = ["--entrypoint", "/usr/bin/pebble", "nginx:1.30", "-config", f"{folder}/pebble.json"]
    container = containers.docker("run", "--detach", "--rm", *where, *files, *eager, *command).strip()
    try:
        yield
    finally:
        containers.docker("stop", container)


@pytest.fixture
def folder() -> Iterator[Path]:
    """The authority's files, readable in its container."""
    with short_folder() as path:
        write_configuration(path, ("0.0.0.0:14000", "0.0.0.0:15000"), NGINX_PORT, LIFETIME, "pebble")
        for each in (path, *path.iterdir()):
            each.chmod(0o755)
        yield path


@pytest.fixture
def asking(containers: Containers, folder: Path) -> Iterator[Containers]:
    """The stack with a domain, before its authority can be reached."""
    before = containers.env
    containers.env = {
        **before,
        "ACME_DOMAINS": DOMAIN,
        "ACME_SERVER": "https://pebble:14000/dir",
        "ACME_CA_FILE": f"{folder}/pebble.pem",
        "ACME_CHECK_SECONDS": "1",
    }
    containers.up()
    yield containers
    containers.env = before
    containers.up()
    subprocess.run(["docker", "image", "rm", f"{containers.project}-acme"], capture_output=True)


async def ask(containers: Containers, losses: list[bytes]) -> None:
    """Request /readyz by HTTPS without a pause, and collect the heads of answers other than 200."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    while True:
        answer = await exchange(("127.0.0.1", containers.https_port), message("GET", "/readyz"), tls=tls)
        losses += [answer.head] if answer.status != 200 else []


async def test_certificate_of_an_authority(asking: Containers, folder: Path) -> None:
    """Without an authority the old certificate stays; then certbot gets and renews one, until the setting is empty."""
    shown, losses = [shown_certificate(asking.https_port)], list[bytes]()
    await until(lambda: any("stays in service" in line for line in asking.log(acme.NAME)), SECONDS)
    assert shown_certificate(asking.https_port) == shown[0]
    with authority(asking, folder):
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(ask(asking, losses)) for _ in range(4)]
            async with asyncio.timeout(SECONDS):
                while len(shown) < 3:
                    if (found := await asyncio.to_thread(shown_certificate, asking.https_port)) not in shown:
                        shown.append(found)
            for client in clients:
                client.cancel()
    user = asking.compose("exec", "-T", acme.NAME, "id", "-u").strip()
    asking.up(ACME_DOMAINS="")

    assert losses == []
    assert [ISSUER in certificate for certificate in shown] == [False, True, True]
    assert user == str(acme.USER)
    assert asking.container(acme.NAME) == ""

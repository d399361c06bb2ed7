"""HTTPS of the containers: every protocol reaches the app, and a certificate is replaced while nginx serves."""

import json
import shutil
import ssl

import httpx
import pytest

from slipway.ops import certificate, wait
from slipway.ops.https import CERTIFICATE, KEY
from tests.docker.conftest import Containers

pytestmark = pytest.mark.timeout(300)
NOTICED_SECONDS = 15.0  # the files are checked once a second


def curl(containers: Containers, *arguments: str) -> str:
    """Run the curl of nginx's image, which speaks HTTP/3; return the response's head and body."""
    url = f"https://127.0.0.1:{containers.https_port}/version"
    command = ("run", "--rm", "--network", "host", "--entrypoint", "curl", "nginx:1.30", "-sSik", *arguments, url)
    return containers.docker(*command)


def served(containers: Containers) -> str:
    return ssl.get_server_certificate(("127.0.0.1", containers.https_port))


@pytest.mark.parametrize("protocol", ["1.1", "2", "3"])
def test_protocols(containers: Containers, protocol: str) -> None:
    """HTTP/1.1, HTTP/2 and HTTP/3 share a port number, and each response announces HTTP/3."""
    option = f"--http{protocol}" + ("-only" if protocol == "3" else "")
    head, _, body = curl(containers, option).replace("\r", "").partition("\n\n")

    assert head.startswith(f"HTTP/{protocol} 200")
    assert json.loads(body)["name"] == "slipway"
    assert f'alt-svc: h3=":{containers.https_port}"; ma=86400' in head.lower()
    assert "content-security-policy: default-src 'none'" in head.lower()


def test_static_files_come_from_nginx(containers: Containers) -> None:
    """nginx serves static files from its own copy, with the Last-Modified that the app's answers lack."""
    answer = httpx.get(f"{containers.url}/static/app.css")

    assert answer.headers["last-modified"]
    assert containers.compose("exec", "-T", "nginx", "ls", "/static/app/pages/app.css")


def test_another_certificate_is_taken_up(containers: Containers) -> None:
    """A broken pair is logged while the old one stays in service; a valid one is soon in service."""
    folder = containers.folder / "tls"
    old = served(containers)
    (folder / CERTIFICATE).write_text("nonsense\n")

    assert wait.until(lambda: "cannot load certificate" in "\n".join(containers.log("nginx")), NOTICED_SECONDS)
    assert served(containers) == old

    certificate.ensure(containers.folder / "other", certificate.openssl)
    for name in (KEY, CERTIFICATE):
        shutil.copyfile(containers.folder / "other" / name, folder / name)
    new = (folder / CERTIFICATE).read_text()

    assert wait.until(lambda: served(containers) == new, NOTICED_SECONDS)


@pytest.mark.parametrize(("name", "value"), [("HTTPS", "off"), ("HTTPS_PORT", "1")])
def test_address_needs_a_start(containers: Containers, name: str, value: str) -> None:
    """A deploy refuses to change HTTPS or its port, since a port is published when the container is created."""
    done = containers.make("deploy", **{name: value})

    assert done.returncode != 0
    assert f"{name}={value!r}" in done.stderr

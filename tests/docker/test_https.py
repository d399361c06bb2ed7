"""HTTPS of the containers: every protocol reaches the app, and a certificate is replaced while it serves."""

import json
import shutil
import ssl

import httpx
import pytest

from slipway.ops import certificate, wait
from slipway.ops.https import CERTIFICATE, KEY
from tests.docker.conftest import Containers

pytestmark = pytest.mark.timeout(300)
NOTICED_SECONDS = 15.0  # files are looked at once a second


def curl(containers: Containers, *arguments: str) -> str:
    """The image's, which speaks HTTP/3; it prints the head of the answer, then the body."""
    url = f"https://127.0.0.1:{containers.https_port}/version"
    command = ("run", "--rm", "--network", "host", "--entrypoint", "curl", "nginx:1.30", "-sSik", *arguments, url)
    return containers.docker(*command)


def served(containers: Containers) -> str:
    return ssl.get_server_certificate(("127.0.0.1", containers.https_port))


@pytest.mark.parametrize("protocol", ["1.1", "2", "3"])
def test_protocols(containers: Containers, protocol: str) -> None:
    """All on one port; each answer says where the third is."""
    option = f"--http{protocol}" + ("-only" if protocol == "3" else "")
    head, _, body = curl(containers, option).replace("\r", "").partition("\n\n")

    assert head.startswith(f"HTTP/{protocol} 200")
    assert json.loads(body)["name"] == "slipway"
    assert f'alt-svc: h3=":{containers.https_port}"; ma=86400' in head.lower()
    assert "content-security-policy: default-src 'none'" in head.lower()


def test_static_files_come_from_nginx(containers: Containers) -> None:
    """nginx has the image's files: its tag is made of time and size."""
    answer = httpx.get(f"{containers.url}/static/app.css")

    assert answer.headers["last-modified"]
    assert containers.compose("exec", "-T", "nginx", "ls", "/static/app/pages/app.css")


def test_another_certificate_is_taken_up(containers: Containers) -> None:
    """A broken pair is told and the old one serves on; a right one is served soon."""
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
    """A port is published when the container is made."""
    done = containers.make("deploy", **{name: value})

    assert done.returncode != 0
    assert f"{name}={value!r}" in done.stderr

"""nginx over HTTPS: protocols, ciphers, sessions, HTTP/2, the redirect, and a certificate that is replaced."""

import asyncio
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from slipway.environment import SettingError
from slipway.ops import certificate, nginx_text
from slipway.ops.https import CERTIFICATE, HSTS_DEFAULT, IMAGE, KEY, HttpsSettings
from tests.harness.edge import SECONDS, Edge, Runner, answers, exchange, message, slots
from tests.harness.processes import free_ports, running, short_folder, until
from tests.harness.stack import secure
from tests.live.module_folder import folder

__all__ = ["folder"]

NOTICED_SECONDS = 10.0  # files are checked once a second
INTERMEDIATE = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
}  # the ciphers of Mozilla's list for a key of this type


@pytest.fixture(scope="module")
def settings(folder: Path) -> HttpsSettings:
    return secure(folder)


@pytest.fixture(scope="module")
def edge(folder: Path, settings: HttpsSettings) -> Iterator[Edge]:
    """nginx with HTTPS, and without a worker."""
    with running(Edge(folder, https=settings)) as started:
        yield started


@pytest.fixture(scope="module")
def redirecting() -> Iterator[Edge]:
    """nginx that redirects plain HTTP to HTTPS."""
    with short_folder() as path, running(Edge(path, https=secure(path, redirect=True))) as started:
        yield started


def client(*, low: int = ssl.TLSVersion.TLSv1_2, high: int = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """Return a client's context that speaks anything; OpenSSL itself refuses old protocols unless its level is 0."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion(low), ssl.TLSVersion(high)
    return context


def trusting(settings: HttpsSettings) -> ssl.SSLContext:
    """Return a client's context that trusts the certificate and checks it."""
    return ssl.create_default_context(cafile=settings.folder / CERTIFICATE)


@dataclass(frozen=True)
class Greeting:
    """The parameters that both sides have agreed on."""

    version: str | None
    cipher: str
    protocol: str | None
    certificate: bytes | None


def greet(settings: HttpsSettings, context: ssl.SSLContext, name: str = "localhost") -> Greeting:
    """Make a handshake."""
    with (
        socket.create_connection(("127.0.0.1", settings.port), SECONDS) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        cipher, *_ = tls.cipher() or ("",)
        return Greeting(tls.version(), cipher, tls.selected_alpn_protocol(), tls.getpeercert(binary_form=True))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_protocols_are_spoken(edge: Edge, settings: HttpsSettings, version: ssl.TLSVersion) -> None:
    """nginx speaks TLS 1.2 and 1.3."""
    greeting = greet(settings, client(low=version, high=version))

    assert greeting.version == version.name.replace("v1_", "v1.")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_protocols_are_refused(edge: Edge, settings: HttpsSettings, version: ssl.TLSVersion) -> None:
    """nginx refuses everything below TLS 1.2."""
    with pytest.raises((ssl.SSLError, ConnectionError)):
        greet(settings, client(low=version, high=version))


def test_ciphers_of_1_2(edge: Edge, settings: HttpsSettings) -> None:
    """Each cipher of Mozilla's intermediate list is accepted, and no other one that the client could speak."""
    offered = {cipher["name"] for cipher in client().get_ciphers() if cipher["protocol"] != "TLSv1.3"}
    taken = set()
    for name in offered:
        context = client(high=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers(f"{name}:@SECLEVEL=0")
        try:
            taken.add(greet(settings, context).cipher)
        except (ssl.SSLError, ConnectionError):
            continue

    assert taken == INTERMEDIATE


def test_no_tickets(edge: Edge, settings: HttpsSettings) -> None:
    """A session is resumed by its id, and no ticket is issued."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{settings.port}", "-tls1_2"]
    said = subprocess.run(command, input="", capture_output=True, text=True, timeout=20).stdout

    assert "TLS session ticket" not in said
    assert "Session-ID: " in said


def test_self_signed_certificate(edge: Edge, settings: HttpsSettings) -> None:
    """A client that trusts the self-signed certificate accepts it for each of its names."""
    for name in ("localhost", "127.0.0.1", "::1"):
        greet(settings, trusting(settings), name)

    assert (settings.folder / KEY).stat().st_mode & 0o777 == 0o600


def test_http_2(edge: Edge, settings: HttpsSettings) -> None:
    """HTTP/2 is chosen if the client offers it."""
    context = client()
    context.set_alpn_protocols(["h2", "http/1.1"])

    assert greet(settings, context).protocol == "h2"


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
async def test_what_the_app_is_told(settings: HttpsSettings, protocol: str) -> None:
    """The app gets https as the scheme, and the client's host."""
    with short_folder() as folder:
        own = replace(settings, port=free_ports())
        async with slots(folder, [answers]) as (slot,):
            with running(Edge(folder, https=own)):
                said = await curl(protocol, f"https://127.0.0.1:{own.port}/")

    assert said == "yes"
    assert b"X-Forwarded-Proto: https\r\n" in slot.heads[-1]
    assert f"Host: 127.0.0.1:{own.port}\r\n".encode() in slot.heads[-1]


@pytest.mark.parametrize(("path", "status"), [("/", 502), ("/metrics", 404), ("/%zz", 400)])
async def test_strict_transport_security(edge: Edge, settings: HttpsSettings, path: str, status: int) -> None:
    """Strict-Transport-Security is sent over HTTPS, on errors too, but not over plain HTTP, where it means nothing."""
    tls = await exchange(("127.0.0.1", settings.port), message("GET", path), tls=client())
    plain = await exchange(edge.address, message("GET", path))

    assert (tls.status, plain.status) == (status, status)
    assert tls.fields["strict-transport-security"] == HSTS_DEFAULT
    assert "strict-transport-security" not in plain.fields


async def test_plain_http_to_the_port_of_https(edge: Edge, settings: HttpsSettings) -> None:
    """Plain HTTP on the HTTPS port gets a problem, like every refusal."""
    answer = await exchange(("127.0.0.1", settings.port), message("GET", "/"))

    assert answer.status == 400
    assert answer.fields["content-type"] == "application/problem+json"


async def test_http_2_is_for_tls_alone(edge: Edge) -> None:
    """An HTTP/2 preface on the plain port is refused by every nginx; with `http2 on` there it would be spoken."""
    answer = await exchange(edge.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")

    assert answer.status in (400, 405, 505)


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/"), ("GET", "/a/%2f?b=c&d"), ("POST", "/users"), ("HEAD", "/")],
)
async def test_redirect(redirecting: Edge, method: str, target: str) -> None:
    """Plain HTTP is redirected with its method, path and query unchanged."""
    answer = await exchange(redirecting.address, message(method, target), no_body=method == "HEAD")

    assert answer.status == 308
    assert re.fullmatch(rf"https://localhost:[0-9]+{re.escape(target)}", answer.fields["location"])
    assert answer.body == b""


async def test_health_checks_are_not_redirected(redirecting: Edge) -> None:
    """A balancer's check by plain HTTP is answered without a redirect."""
    answer = await exchange(redirecting.address, message("GET", "/healthz"))

    assert answer.status == 502


def test_redirect_to_the_usual_port(tmp_path: Path) -> None:
    """The address in a redirect does not name port 443."""
    text = secure(tmp_path, redirect=True, port=443).configuration("", IMAGE, tls="", folder="", filled_in="")

    assert '"http 1" "https://$host";' in text


@pytest.mark.parametrize("runner", ["python", "sh"])
async def test_another_certificate_is_taken_up(runner: Runner) -> None:
    """A certificate put in place of the old one is soon in service, and no request is lost meanwhile."""
    with short_folder() as folder:
        edge, settings = watched(folder, runner)
        other = secure(folder / "other").folder
        expected = ssl.PEM_cert_to_DER_cert((other / CERTIFICATE).read_text())
        async with slots(folder, [answers]):
            with running(edge):
                old = await served(settings)
                for name in (KEY, CERTIFICATE):
                    shutil.copy(other / name, settings.folder / name)
                async with asyncio.timeout(NOTICED_SECONDS):
                    while (new := await served(settings)) == old:
                        answer = await exchange(("127.0.0.1", settings.port), message("GET"), tls=client())
                        assert answer.status == 200

    assert new == expected


BROKEN: dict[str, Callable[[Path], object]] = {
    "no PEM": lambda folder: (folder / CERTIFICATE).write_text("nonsense\n"),
    "empty": lambda folder: (folder / CERTIFICATE).write_text(""),
    "gone": lambda folder: (folder / CERTIFICATE).unlink(),
    "another's key": lambda folder: shutil.copy(secure(folder / "other").folder / KEY, folder / KEY),
    "cut off": lambda folder: (folder / KEY).write_text((folder / KEY).read_text()[:80]),
}


@pytest.mark.parametrize("runner", ["python", "sh"])
@pytest.mark.parametrize("kind", BROKEN)
async def test_broken_pair_is_refused(kind: str, runner: Runner) -> None:
    """A broken pair is logged once and the old one stays in service; a verb refuses the pair and names TLS_DIR."""
    with short_folder() as folder:
        edge, settings = watched(folder, runner)
        async with slots(folder, [answers]):
            with running(edge):
                old = await served(settings)
                BROKEN[kind](settings.folder)
                await until(lambda: edge.logged("[emerg]") or edge.logged("CRITICAL"), NOTICED_SECONDS)

                assert await served(settings) == old
        with pytest.raises(SettingError, match="TLS_DIR"):
            certificate.ensure(settings.folder, certificate.openssl)
        told = [record for record in edge.records() if record.get("level") == "CRITICAL"]

    assert len(told) == 1


def test_a_pair_that_is_there_stays(tmp_path: Path) -> None:
    """Only an empty folder gets a new pair."""
    before = (secure(tmp_path).folder / KEY).read_text()

    certificate.ensure(tmp_path / "tls", certificate.openssl)
    assert (tmp_path / "tls" / KEY).read_text() == before


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    """A key without a certificate is refused, not overwritten."""
    (secure(tmp_path).folder / CERTIFICATE).unlink()

    with pytest.raises(SettingError, match="TLS_DIR"):
        certificate.ensure(tmp_path / "tls", certificate.openssl)


def test_files_of_the_image(tmp_path: Path) -> None:
    """Without a file of `make`'s, the image has HTTPS turned off."""
    text = HttpsSettings().configuration("", IMAGE, tls="", folder="", filled_in="")

    assert (nginx_text.NGINX_DIR / "https.conf").read_text() == text


def watched(folder: Path, runner: Runner) -> tuple[Edge, HttpsSettings]:
    """Return an nginx that follows its certificate, and its settings."""
    settings = secure(folder)
    return Edge(folder, https=settings, runner=runner, watched=[f"{settings.folder}/*.pem"]), settings


async def served(settings: HttpsSettings) -> bytes | None:
    """Return the certificate that a new connection gets."""
    return (await asyncio.to_thread(greet, settings, client())).certificate


async def curl(*arguments: str) -> str:
    """Run curl and return its output."""
    command = ["curl", "-sS", "-k", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout

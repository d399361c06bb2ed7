"""ACME_DOMAINS over nginx: a certificate is issued and renewed by real challenges, and a failure changes nothing."""

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from slipway import renewal
from slipway.ops import acme
from slipway.ops.https import CERTIFICATE, KEY, HttpsSettings
from slipway.ops.settings import ROOT
from slipway.ops.site import SiteSettings
from tests.harness.authority import ISSUER, authority
from tests.harness.edge import Edge, answers, exchange, message, slots
from tests.harness.processes import BIN, Process, running, until
from tests.harness.stack import secure
from tests.harness.tls import shown_certificate
from tests.live.module_folder import folder

__all__ = ["folder"]

DOMAINS = ("shop.test", "www.shop.test")
LIFETIME = 8  # a certificate's lifetime in seconds; certbot renews in its second half
ISSUE_SECONDS = 30.0
ALL_NAMES = b"".join(b"\x82" + bytes([len(name)]) + name.encode() for name in DOMAINS)  # as encoded in a certificate


class Renewing(Process):
    """`slipway/renewal.py` with the certbot of the tests' environment."""

    def __init__(self, folder: Path, tls: Path, server: str, ca_file: Path | str = "") -> None:
        settings = acme.AcmeSettings(DOMAINS, server, check_seconds=1)
        environment = {**os.environ, **settings.environment(), "TLS_DIR": str(tls), "REQUESTS_CA_BUNDLE": str(ca_file)}
        environment["PATH"] = f"{BIN}:{os.environ['PATH']}"
        super().__init__([sys.executable, str(ROOT / "slipway" / "renewal.py")], folder / "renewal.log", environment)


@pytest.fixture(scope="module")
def settings(folder: Path) -> HttpsSettings:
    """HTTPS with a self-signed certificate, and plain HTTP that is redirected to it."""
    return secure(folder, redirect=True)


@asynccontextmanager
async def nginx(folder: Path, settings: HttpsSettings) -> AsyncIterator[Edge]:
    """Run nginx before one worker, and let it follow its certificate."""
    edge = Edge(folder, https=settings, watched=[f"{settings.folder}/*.pem"], site=SiteSettings())
    async with slots(folder, [answers]):
        with running(edge):
            yield edge


async def get(edge: Edge, settings: HttpsSettings, losses: list[object]) -> None:
    """Request by HTTPS and by HTTP without a pause, and collect the heads of unexpected answers."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    while True:
        secured = await exchange(("127.0.0.1", settings.port), message("GET"), tls=tls)
        plain = await exchange(edge.address, message("GET"))
        losses += [answer.head for answer in (secured, plain) if answer.status != (200 if answer is secured else 308)]


@pytest.mark.suite
async def test_issue_and_renewals_lose_nothing(folder: Path, settings: HttpsSettings) -> None:
    """The self-signed pair is replaced, and the new one again before it expires, while no client's request is lost."""
    losses: list[object] = []
    async with nginx(folder, settings) as edge:
        with authority(folder, edge.port, LIFETIME) as pebble:
            shown = [await asyncio.to_thread(shown_certificate, settings.port)]
            with running(Renewing(folder, settings.folder, pebble.url, pebble.ca_file)) as renewing:
                async with asyncio.TaskGroup() as group:
                    clients = [group.create_task(get(edge, settings, losses)) for _ in range(4)]
                    async with asyncio.timeout(ISSUE_SECONDS):
                        while len(shown) < 3:
                            if (found := await asyncio.to_thread(shown_certificate, settings.port)) not in shown:
                                shown.append(found)
                    for client in clients:
                        client.cancel()

    assert losses == []
    assert [ISSUER in certificate for certificate in shown] == [False, True, True]
    assert all(ALL_NAMES in certificate for certificate in shown[1:])
    assert not [record for record in edge.records() if record.get("level") == "CRITICAL"]
    assert renewing.logged("a new certificate for shop.test, www.shop.test") == 2
    assert (settings.folder / KEY).stat().st_mode & 0o777 == 0o600


async def test_unreachable_authority_leaves_what_serves(tmp_path: Path) -> None:
    """One line reports the failure and the time of the next attempt, and the pair stays as it is."""
    server = "https://127.0.0.1:1/dir"
    tls = secure(tmp_path).folder
    before = [(tls / name).read_bytes() for name in (CERTIFICATE, KEY)]
    with running(Renewing(tmp_path, tls, server)) as renewing:
        await until(lambda: renewing.logged("\n"), ISSUE_SECONDS)
    told = renewing.records()[0]

    assert told["level"] == "ERROR"
    assert told["message"].startswith(f"no certificate for shop.test, www.shop.test from {server}: ")
    assert "Connection refused" in told["message"]
    assert "stays in service; tried again in" in told["message"]
    assert [(tls / name).read_bytes() for name in (CERTIFICATE, KEY)] == before


async def test_challenge_that_is_not_answered(tmp_path: Path) -> None:
    """The line has the authority's own message."""
    tls = secure(tmp_path).folder
    with (
        authority(tmp_path, 1, LIFETIME) as pebble,
        running(Renewing(tmp_path, tls, pebble.url, pebble.ca_file)) as renewing,
    ):
        await until(lambda: renewing.logged("\n"), ISSUE_SECONDS)

    assert "connection refused" in renewing.records()[0]["message"]


async def test_no_certbot(tmp_path: Path) -> None:
    """A missing certbot is reported like every other failure."""
    renewing = Renewing(tmp_path, secure(tmp_path).folder, "https://127.0.0.1:1/dir")
    renewing.environment["PATH"] = str(tmp_path)
    with running(renewing):
        await until(lambda: renewing.logged("\n"), ISSUE_SECONDS)

    assert "certbot" in renewing.records()[0]["message"]


@pytest.mark.parametrize(
    ("failures", "check", "pause"),
    [(1, 43_200, 60), (2, 43_200, 240), (3, 43_200, 960), (4, 43_200, 3_600), (1_000, 43_200, 3_600), (5, 10, 10)],
)
def test_pauses_after_failures(failures: int, check: float, pause: float) -> None:
    """The pauses grow, since an authority refuses clients that fail too often, up to the time between two checks."""
    assert renewal.retry_seconds(failures, check) == pause

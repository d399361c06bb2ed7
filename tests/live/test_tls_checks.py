"""testssl's checks beyond protocols and ciphers (test_edge_tls.py), made with `openssl s_client`."""

import subprocess
from collections.abc import Iterator

import pytest

from slipway.ops.https import HttpsSettings
from tests.harness.edge import Edge
from tests.harness.processes import running, short_folder
from tests.harness.stack import secure

SECONDS = 20
LENIENT = "ALL:@SECLEVEL=0"
Row = tuple[list[str], str]  # options, text that the output must have

SAID: dict[str, Row] = {
    "no compression": (["-tls1_2", "-comp"], "Compression: NONE"),
    "secure renegotiation is known": (["-tls1_2"], "Secure Renegotiation IS supported"),
    "no downgrade": (["-tls1_2", "-fallback_scsv"], "inappropriate fallback"),
    "forward secrecy by 1.2": (["-tls1_2"], "Server Temp Key: X25519"),
    "forward secrecy by 1.3": (["-tls1_3"], "Server Temp Key: X25519"),
    "another curve": (["-tls1_3", "-groups", "P-256"], "Server Temp Key: ECDH, prime256v1"),
    "no weak curve": (["-tls1_2", "-groups", "P-192"], "Cipher is (NONE)"),
    "no SHA-1": (["-tls1_2", "-sigalgs", "ECDSA+SHA1"], "Cipher is (NONE)"),
    "no data before the handshake": (["-tls1_3"], "Early data was not sent"),
    "a strong key": (["-tls1_3"], "Server public key is 256 bit"),
    **{
        f"1.3 with {name}": (["-tls1_3", "-ciphersuites", name], f"Cipher is {name}")
        for name in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
    },
    **{
        f"1.3 without {name}": (["-tls1_3", "-ciphersuites", name], "Cipher is (NONE)")
        for name in ("TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256")
    },
}


@pytest.fixture(scope="module")
def settings() -> Iterator[HttpsSettings]:
    """The settings of an nginx that speaks HTTPS."""
    with short_folder() as folder:
        https = secure(folder)
        with running(Edge(folder, https=https)):
            yield https


def s_client(settings: HttpsSettings, options: list[str], typed: str = "") -> str:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{settings.port}", "-cipher", LENIENT, *options]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=SECONDS)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", SAID)
def test_checks(settings: HttpsSettings, name: str) -> None:
    """Each check has the result of Mozilla's intermediate configuration."""
    options, said = SAID[name]

    assert said in s_client(settings, options)


def test_no_renegotiation_by_the_client(settings: HttpsSettings) -> None:
    """A client's renegotiation, which would cost the server more than the client, ends the connection."""
    said = s_client(settings, ["-tls1_2"], "R\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

    assert "RENEGOTIATING" in said
    assert "HTTP/1.1" not in said.partition("RENEGOTIATING")[2]

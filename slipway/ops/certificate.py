"""The certificate and its key in TLS_DIR: the user's own, or a self-signed pair that is created once."""

import os
import re
import ssl
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from slipway.environment import SettingError
from slipway.ops import packages
from slipway.ops.console import Failure, step
from slipway.ops.https import CERTIFICATE, KEY

ALLOWED = f"a folder with {CERTIFICATE} and the {KEY} that belongs to it, in PEM, or an empty one"
NGINX_GROUP = 10_001  # docker-compose.yml
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
ORGANISATION = "Slipway, self-signed"
DAYS = "3650"
COMMAND = (
    *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", DAYS),
    *("-subj", f"/O={ORGANISATION}/CN=localhost", "-addext", NAMES),
    *("-addext", "extendedKeyUsage=serverAuth", "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "-"),
)
BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\n", re.DOTALL)


def ensure(folder: Path, openssl: Callable[[Sequence[str]], str]) -> None:
    """Make a self-signed pair in a folder without one; raise SettingError for a pair that nginx would refuse.

    `openssl` runs the program with the given arguments and returns its output.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    if not certificate.exists() and not key.exists():
        with step("self-signed certificate"):
            _make(certificate, key, openssl(COMMAND))
    check(folder)


def openssl(arguments: Sequence[str]) -> str:
    """Run this machine's openssl and return its output."""
    done = subprocess.run([packages.find("openssl") or "openssl", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"openssl can't make a certificate: {done.stderr.strip()}")
    return done.stdout


def check(folder: Path) -> None:
    """Raise SettingError where nginx would refuse the pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:  # a key that needs a password is refused instead of asking for one
        context.load_cert_chain(folder / CERTIFICATE, folder / KEY, password=lambda: b"")
    except OSError as error:  # SSLError among them
        raise SettingError("TLS_DIR", str(folder), f"{ALLOWED} ({error})") from None


def remark(folder: Path, asked_for: Sequence[str] = ()) -> str:
    """Return the remark to print for a self-signed certificate; empty for any other."""
    own = ORGANISATION.encode() not in ssl.PEM_cert_to_DER_cert(_first((folder / CERTIFICATE).read_text()))
    if own:
        return ""
    until = f"until certbot has got that of {', '.join(asked_for)}" if asked_for else f"put your own into {folder}"
    return f"  its certificate is self-signed{' ' if asked_for else '; '}{until}"


def hand_over(folder: Path, run_dir: Path) -> None:
    """Let nginx's container read a pair below RUN_DIR, whose files are private to their owner by default."""
    if not folder.is_relative_to(run_dir):
        return
    folder.chmod(0o755)
    for path in (folder / CERTIFICATE, folder / KEY):
        try:
            os.chown(path, -1, NGINX_GROUP)
            path.chmod(0o640)
        except PermissionError:  # not root; RUN_DIR still keeps other users out
            path.chmod(0o644)


def _first(text: str) -> str:
    """Return the server's own certificate, which comes before the intermediate ones."""
    return next(found[0] for found in BLOCK.finditer(text) if found[1] == "CERTIFICATE")


def _make(certificate: Path, key: Path, printed: str) -> None:
    certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    blocks = {found[1]: found[0] for found in BLOCK.finditer(printed)}
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(blocks["PRIVATE KEY"])
    certificate.write_text(blocks["CERTIFICATE"])

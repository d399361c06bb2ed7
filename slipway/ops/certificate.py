"""The certificate and its key: one's own that lies in TLS_DIR, else a self-signed one that is made there once."""

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

    `openssl` runs the program with some arguments, and returns what it prints.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    if not certificate.exists() and not key.exists():
        with step("self-signed certificate"):
            _make(certificate, key, openssl(COMMAND))
    check(folder)


def openssl(arguments: Sequence[str]) -> str:
    """Run the program of this machine."""
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
    """What to know of the certificate beside the address."""
    own = ORGANISATION.encode() not in ssl.PEM_cert_to_DER_cert(_first((folder / CERTIFICATE).read_text()))
    if own:
        return ""
    until = f"until certbot has got that of {', '.join(asked_for)}" if asked_for else f"put your own into {folder}"
    return f"  its certificate is self-signed{' ' if asked_for else '; '}{until}"


def hand_over(folder: Path, run_dir: Path) -> None:
    """Let nginx's container read a pair that lies below RUN_DIR, which is for its owner alone."""
    if not folder.is_relative_to(run_dir):
        return
    folder.chmod(0o755)
    for path in (folder / CERTIFICATE, folder / KEY):
        try:
            os.chown(path, -1, NGINX_GROUP)
            path.chmod(0o640)
        except PermissionError:  # not root: no more users than before can come so far
            path.chmod(0o644)


def _first(text: str) -> str:
    """The server's own certificate, which stands before those that have signed it."""
    return next(found[0] for found in BLOCK.finditer(text) if found[1] == "CERTIFICATE")


def _make(certificate: Path, key: Path, printed: str) -> None:
    certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    blocks = {found[1]: found[0] for found in BLOCK.finditer(printed)}
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(blocks["PRIVATE KEY"])
    certificate.write_text(blocks["CERTIFICATE"])

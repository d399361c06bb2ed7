"""Gets the certificate of ACME_DOMAINS with certbot and renews it in time, until SIGTERM.

certbot answers the authority's challenges (RFC 8555 section 8.3, HTTP-01) with files in TLS_DIR/challenges, which
nginx serves by plain HTTP. A new certificate replaces certificate.pem and key.pem, and nginx reloads them without
losing a request. On a failure these stay as they are, one log line has the reason, and certbot tries again later.

Runs by path and with the standard library only, since its container has no other part of Slipway.
"""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

CERTIFICATE, KEY = "certificate.pem", "key.pem"
FIRST_RETRY = 60.0  # seconds, times 4 after each further failure: an authority allows five failures an hour
LAST_RETRY = 3_600.0
# Lines that certbot prints around the reason of a failure.
AROUND = re.compile(
    r"Saving debug log|Ask for help|See the logfile|An unexpected error occurred|Some challenges have failed|- - -|^$"
)


@dataclass(frozen=True, slots=True)
class CertificateOrder:
    """The wanted certificate: its domains, its authority and its folder."""

    domains: tuple[str, ...]
    server: str
    email: str
    folder: Path
    check_seconds: float
    key_mode: int

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> "CertificateOrder":
        """Read the order from the environment, whose values `make` has checked."""
        return cls(
            tuple(variables["ACME_DOMAINS"].split(",")),
            variables["ACME_SERVER"],
            variables.get("ACME_EMAIL", ""),
            Path(variables["TLS_DIR"]),
            float(variables["ACME_CHECK_SECONDS"]),
            int(variables.get("KEY_MODE", "600"), 8),
        )

    def __str__(self) -> str:
        return f"{', '.join(self.domains)} from {self.server}"

    @property
    def name(self) -> str:
        """certbot's name for it: other domains or another authority make another certificate."""
        digest = hashlib.sha256(" ".join([self.server, *self.domains]).encode()).hexdigest()
        return f"{self.domains[0]}-{digest[:8]}"

    @property
    def state(self) -> Path:
        """The folder of certbot's own files: its account and all its certificates."""
        return self.folder / "acme"

    @property
    def command(self) -> list[str]:
        """certbot's command, which does nothing while the certificate is not due for renewal."""
        state = [f"--{name}-dir={self.state / name}" for name in ("config", "work", "logs")]
        contact = f"--email={self.email}" if self.email else "--register-unsafely-without-email"
        names = [f"--domain={domain}" for domain in self.domains]
        return [
            *("certbot", "certonly", "--non-interactive", "--agree-tos", "--no-eff-email", contact),
            *("--webroot", f"--webroot-path={self.folder / 'challenges'}", "--key-type=ecdsa", "--keep-until-expiring"),
            *(f"--server={self.server}", f"--cert-name={self.name}", *names, *state),
        ]


def run(order: CertificateOrder) -> str:
    """Run certbot; return why it failed, or an empty string."""
    with subprocess.Popen(order.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said, _ = process.communicate()
        except SystemExit:
            process.terminate()
            raise
    return reason(said.splitlines()) if process.returncode else ""


def reason(lines: Sequence[str]) -> str:
    """Return certbot's reason of a failure in one line."""
    told = [line.strip() for line in lines if not AROUND.search(line.strip())]
    details = [line.partition(":")[2].strip() for line in told if line.startswith("Detail:")]
    return (details or told or ["certbot failed"])[-1]


def put_in_place(order: CertificateOrder) -> bool:
    """Copy certbot's pair to where nginx reads it; return whether it differs from the pair before."""
    lineage = order.state / "config" / "live" / order.name
    pair = {KEY: (lineage / "privkey.pem").read_bytes(), CERTIFICATE: (lineage / "fullchain.pem").read_bytes()}
    if all((order.folder / name).exists() and (order.folder / name).read_bytes() == pair[name] for name in pair):
        return False
    for name, content in pair.items():
        new = order.folder / f".{name}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, order.key_mode), "wb") as file:
            file.write(content)
    for name in pair:  # in quick succession: nginx refuses a key of another certificate
        (order.folder / f".{name}.new").replace(order.folder / name)
    return True


def retry_seconds(failures: int, check_seconds: float) -> float:
    """Return the seconds to wait after this number of failures in a row."""
    return min(FIRST_RETRY * 4.0 ** min(failures - 1, 8), LAST_RETRY, check_seconds)


def follow(order: CertificateOrder) -> str:
    """Run certbot and put a new certificate in place; return the reason of a failure, or an empty string."""
    try:
        (order.folder / "challenges").mkdir(mode=0o755, exist_ok=True)
        problem = run(order)
        if not problem and put_in_place(order):
            log("INFO", f"a new certificate for {order} is in place")
    except OSError as error:  # no certbot, or a full disk
        return str(error)
    return problem


def log(level: str, message: str) -> None:
    """Print one log line, in the JSON format of all processes of the stack."""
    record = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "level": level, "logger": "acme", "message": message}
    print(json.dumps(record), flush=True)


def main() -> None:
    """Run certbot at once, then at intervals."""
    signal.signal(signal.SIGTERM, _end)
    order = CertificateOrder.of(os.environ)
    failures = 0
    while True:
        problem = follow(order)
        failures = failures + 1 if problem else 0
        pause = retry_seconds(failures, order.check_seconds) if problem else order.check_seconds
        if problem:
            kept = f"what lies in TLS_DIR stays in service; tried again in {pause:g} s"
            log("ERROR", f"no certificate for {order}: {problem}; {kept}")
        time.sleep(pause)


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()

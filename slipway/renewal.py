"""Gets the certificate of ACME_DOMAINS by certbot, and renews it in time, until it is told to end.

certbot answers the authority's challenges (RFC 8555 section 8.3, HTTP-01) with files in TLS_DIR/challenges, which
nginx serves by plain HTTP. What it gets takes the place of certificate.pem and key.pem, and nginx follows with nothing
lost. Where it gets nothing these stay as they are, one line says why, and it tries again.

Standard library only and by path, since its container has nothing else of Slipway's.
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
FIRST_RETRY = 60.0  # seconds, four times more after each further failure: an authority allows five failures an hour
LAST_RETRY = 3_600.0
# What certbot says around the reason of a failure.
AROUND = re.compile(
    r"Saving debug log|Ask for help|See the logfile|An unexpected error occurred|Some challenges have failed|- - -|^$"
)


@dataclass(frozen=True, slots=True)
class CertificateOrder:
    """The certificate that is wanted, from whom, and where it belongs."""

    domains: tuple[str, ...]
    server: str
    email: str
    folder: Path
    check_seconds: float
    key_mode: int

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> "CertificateOrder":
        """From the environment, whose values `make` has checked."""
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
        """For certbot: other domains or another authority are another certificate."""
        digest = hashlib.sha256(" ".join([self.server, *self.domains]).encode()).hexdigest()
        return f"{self.domains[0]}-{digest[:8]}"

    @property
    def state(self) -> Path:
        """What certbot keeps: its account, and every certificate that it got."""
        return self.folder / "acme"

    @property
    def command(self) -> list[str]:
        """It does nothing where the certificate is there and not due for renewal."""
        state = [f"--{name}-dir={self.state / name}" for name in ("config", "work", "logs")]
        contact = f"--email={self.email}" if self.email else "--register-unsafely-without-email"
        names = [f"--domain={domain}" for domain in self.domains]
        return [
            *("certbot", "certonly", "--non-interactive", "--agree-tos", "--no-eff-email", contact),
            *("--webroot", f"--webroot-path={self.folder / 'challenges'}", "--key-type=ecdsa", "--keep-until-expiring"),
            *(f"--server={self.server}", f"--cert-name={self.name}", *names, *state),
        ]


def run(order: CertificateOrder) -> str:
    """Have certbot do what is due; why it could not, or nothing."""
    with subprocess.Popen(order.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            said, _ = process.communicate()
        except SystemExit:
            process.terminate()
            raise
    return reason(said.splitlines()) if process.returncode else ""


def reason(lines: Sequence[str]) -> str:
    """What certbot says of a failure, in one line."""
    told = [line.strip() for line in lines if not AROUND.search(line.strip())]
    details = [line.partition(":")[2].strip() for line in told if line.startswith("Detail:")]
    return (details or told or ["certbot failed"])[-1]


def put_in_place(order: CertificateOrder) -> bool:
    """Have nginx find what certbot has got; whether it was another pair before."""
    lineage = order.state / "config" / "live" / order.name
    pair = {KEY: (lineage / "privkey.pem").read_bytes(), CERTIFICATE: (lineage / "fullchain.pem").read_bytes()}
    if all((order.folder / name).exists() and (order.folder / name).read_bytes() == pair[name] for name in pair):
        return False
    for name, content in pair.items():
        new = order.folder / f".{name}.new"
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, order.key_mode), "wb") as file:
            file.write(content)
    for name in pair:  # at once, since nginx refuses a key that is not the certificate's
        (order.folder / f".{name}.new").replace(order.folder / name)
    return True


def retry_seconds(failures: int, check_seconds: float) -> float:
    """How long to wait after so many failures in a row."""
    return min(FIRST_RETRY * 4.0 ** min(failures - 1, 8), LAST_RETRY, check_seconds)


def follow(order: CertificateOrder) -> str:
    """Have certbot do what is due, and put what it has got in place; why that could not be, or nothing."""
    try:
        (order.folder / "challenges").mkdir(mode=0o755, exist_ok=True)
        problem = run(order)
        if not problem and put_in_place(order):
            log("INFO", f"a new certificate for {order} is in place")
    except OSError as error:  # no certbot, or no room
        return str(error)
    return problem


def log(level: str, message: str) -> None:
    """One line, as every process of the stack writes it."""
    record = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "level": level, "logger": "acme", "message": message}
    print(json.dumps(record), flush=True)


def main() -> None:
    """Look for what is due at once, and then again and again."""
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

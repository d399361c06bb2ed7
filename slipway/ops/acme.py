"""ACME_DOMAINS: the certificate that `slipway/renewal.py` gets and renews with certbot, and the folders for it."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from slipway.environment import Environment, SettingError
from slipway.ops.certificate import NGINX_GROUP
from slipway.ops.https import CHALLENGES

NAME = "acme"  # of the service, of the program, and of certbot's own folder in TLS_DIR
SERVER = "https://acme-v02.api.letsencrypt.org/directory"
CHECK_SECONDS = 43_200  # twice a day, as certbot's own timer
DOMAIN = re.compile(r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
URL = re.compile(r"https://[!-~]+")
EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")
MOST_DOMAINS = 100  # per certificate, Let's Encrypt's limit
USER = 10_001  # of the container, if root runs the verb


@dataclass(frozen=True, slots=True)
class AcmeSettings:
    """The ACME settings; without domains no certificate is requested."""

    domains: tuple[str, ...] = ()
    server: str = SERVER
    email: str = ""
    ca_file: str = ""
    check_seconds: int = CHECK_SECONDS

    @classmethod
    def from_environment(cls, env: Environment, *, https: bool) -> "AcmeSettings":
        """Read and check every setting; raise SettingError, naming the variable, for a wrong one."""
        ca_file = env.text("ACME_CA_FILE")
        if ca_file and not Path(ca_file).is_file():
            raise SettingError("ACME_CA_FILE", ca_file, "a file with certificates in PEM")
        return cls(
            domains=_domains(env.text("ACME_DOMAINS"), https),
            server=_matching("ACME_SERVER", env.text("ACME_SERVER", SERVER), URL, f"an address such as {SERVER}"),
            email=_matching("ACME_EMAIL", env.text("ACME_EMAIL"), EMAIL, "one address, or nothing"),
            ca_file=ca_file and str(Path(ca_file).absolute()),
            check_seconds=env.integer("ACME_CHECK_SECONDS", CHECK_SECONDS, 1, 86_400),
        )

    def environment(self) -> dict[str, str]:
        """Return the variables that `slipway/renewal.py` reads, except TLS_DIR."""
        return {
            "ACME_DOMAINS": ",".join(self.domains),
            "ACME_SERVER": self.server,
            "ACME_EMAIL": self.email,
            "ACME_CHECK_SECONDS": str(self.check_seconds),
        }


def container_environment(settings: AcmeSettings) -> Mapping[str, str]:
    """Return the variables for docker-compose.yml, where ACME_CA_FILE is mounted as a volume."""
    return {**settings.environment(), "ACME_CA_FILE": settings.ca_file, "ACME_USER": str(os.getuid() or USER)}


def hand_over(folder: Path) -> None:
    """Let certbot's container, which is not root, write into TLS_DIR."""
    folders = (folder, folder / CHALLENGES, folder / NAME)
    for path in folders:
        path.mkdir(exist_ok=True)
    folders[1].chmod(0o755)  # nginx reads the answers to challenges
    folders[2].chmod(0o700)
    if os.getuid() == 0:
        for path in (*folders, *folders[1].rglob("*"), *folders[2].rglob("*")):
            os.chown(path, USER, NGINX_GROUP, follow_symlinks=False)


def _domains(text: str, https: bool) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(filter(None, (word.strip().lower() for word in text.split(",")))))
    if found and not https:
        raise SettingError("ACME_DOMAINS", text, "nothing while HTTPS=off")
    for domain in found:
        if not DOMAIN.fullmatch(domain) or len(found) > MOST_DOMAINS:
            allowed = (
                f"at most {MOST_DOMAINS} names such as example.com, separated by commas; none with a *, which needs DNS"
            )
            raise SettingError("ACME_DOMAINS", domain, allowed)
    return found


def _matching(name: str, value: str, pattern: re.Pattern[str], allowed: str) -> str:
    if value and not pattern.fullmatch(value):
        raise SettingError(name, value, allowed)
    return value

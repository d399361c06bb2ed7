"""The settings of HTTPS and the `server` block made from them; nginx/tls.conf has the fixed directives."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway.environment import Environment, SettingError

CERTIFICATE = "certificate.pem"  # the server's first, then the intermediate ones
KEY = "key.pem"
CHALLENGES = "challenges"  # a folder beside them, for the answers to ACME challenges
SERVER = "https.conf"
HSTS = re.compile(r"max-age=[0-9]{1,10}(; includeSubDomains)?(; preload)?")
HSTS_DEFAULT = "max-age=31536000"  # a year
WELL_KNOWN_PORT = 443


@dataclass(frozen=True, slots=True)
class Dialect:
    """Features that depend on nginx's version and build."""

    http2_directive: bool
    """Whether `http2 on` exists (1.25.1 or newer); else `http2` is a parameter of `listen`."""
    http3: bool


IMAGE = Dialect(http2_directive=True, http3=True)  # nginx in docker-compose.yml


@dataclass(frozen=True, slots=True)
class HttpsSettings:
    """Whether HTTPS is on, its port, the certificate's folder, HSTS, and whether plain HTTP is redirected."""

    mode: str = "off"
    port: int = 8443
    redirect: bool = False
    hsts: str = ""
    folder: Path = Path()

    @classmethod
    def from_environment(cls, env: Environment, run_dir: Path) -> "HttpsSettings":
        """Read and check every setting; raise SettingError, naming the variable, for a wrong one."""
        hsts = env.text("HSTS", HSTS_DEFAULT)
        if hsts != "off" and not HSTS.fullmatch(hsts):
            allowed = f"off, or {HSTS_DEFAULT} and, where wanted, ; includeSubDomains and ; preload behind it"
            raise SettingError("HSTS", hsts, allowed)
        return cls(
            mode=env.choice("HTTPS", "on", ("on", "off")),
            port=env.integer("HTTPS_PORT", 8443, 1, 65_535),
            redirect=env.flag("HTTPS_REDIRECT", False),
            hsts="" if hsts == "off" else hsts,
            folder=Path(env.text("TLS_DIR", str(run_dir / "tls"))).absolute(),
        )

    @property
    def on(self) -> bool:
        return self.mode == "on"

    def configuration(
        self, listen: str, dialect: Dialect, *, tls: str, folder: str, filled_in: str, words: str = ""
    ) -> str:
        """Return the file for nginx's `http` block: the HTTPS server, and both servers' maps for headers and redirect.

        `tls`, `folder` and `filled_in` are the folders of the certificate, of nginx/ and of the filled-in files, as
        nginx strings. `words` are additional parameters of `listen` for TCP.
        """
        files = (f"{tls}/{CERTIFICATE}", f"{tls}/{KEY}", f"{folder}/tls.conf", f"{filled_in}/server.conf")
        lines = [*self._maps(dialect), *(self._server(listen, dialect, words, *files) if self.on else ())]
        return "\n".join(["# Written by `make`, from the settings that .env.example explains.", *lines, ""])

    def _maps(self, dialect: Dialect) -> Iterator[str]:
        """Yield the maps; a map without a default is empty, and nginx sends no header with an empty value."""
        yield f'map $client_scheme $strict_transport_security {{\n    https "{self.hsts if self.on else ""}";\n}}'
        alternative = f'h3=\\":{self.port}\\"; ma=86400' if self.on and dialect.http3 else ""
        yield f'map $scheme $alternative {{\n    https "{alternative}";\n}}'
        port = "" if self.port == WELL_KNOWN_PORT else f":{self.port}"
        moved = f"https://$host{port}" if self.on and self.redirect else ""
        kept = "health checks are answered in place"
        yield f'map "$client_scheme $logged" $moved {{\n    "http 1" "{moved}";    # {kept}\n}}'

    def _server(
        self, listen: str, dialect: Dialect, words: str, certificate: str, key: str, tls: str, server: str
    ) -> Iterator[str]:
        yield "server {"
        words = f"{'' if dialect.http2_directive else ' http2'}{words and f' {words}'}"
        yield f"    listen {listen} ssl{words} backlog=4096;"
        if dialect.http2_directive:
            yield "    http2 on;"
        if dialect.http3:  # reuseport: each nginx worker gets the packets of its own connections
            yield f"    listen {listen} quic reuseport;"
        yield f'    ssl_certificate "{certificate}";'
        yield f'    ssl_certificate_key "{key}";'
        yield f'    include "{tls}";'
        yield f'    include "{server}";'
        yield "}"

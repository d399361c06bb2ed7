"""The settings that only nginx uses: trusted proxies, served hosts, size limits, and limits per client.

They become directives in a file of their own, `edge.conf`, so lists need no escaping for a template, and a limit that
is off is left out. `nginx/edge.conf` holds the same for the defaults.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from slipway.environment import Environment, SettingError
from slipway.paths import root_path

RESERVED_CONNECTIONS = 384  # per nginx worker: listeners, kept connections to the app, health checks
CLIENT_CONNECTIONS = 800  # a tenth of one nginx worker's clients: 16,384 connections, two for each proxied client
HOST = re.compile(r"(?:\*?\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
FILE = "edge.conf"


@dataclass(frozen=True, slots=True)
class EdgeSettings:
    """These settings. By default no proxy is trusted, every host is served, and nothing is limited per client."""

    trusted_proxies: tuple[str, ...] = ()
    proxy_protocol: bool = False
    allowed_hosts: tuple[str, ...] = ()
    root_path: str = ""
    max_uri_bytes: int = 8_000
    max_line_bytes: int = 8_192
    max_header_bytes: int = 32_768
    header_timeout: int = 8
    max_connections: int = 0
    client_connections: int = 0
    client_uploads: int = 0
    client_requests_per_second: int = 0

    @classmethod
    def from_environment(cls, env: Environment) -> "EdgeSettings":
        """Read and check every setting; raise SettingError, naming the variable, for a wrong one."""
        line = env.integer("MAX_LINE_BYTES", 8_192, 1_024, 65_536)
        return cls(
            trusted_proxies=_networks(env.text("TRUSTED_PROXIES")),
            proxy_protocol=env.flag("PROXY_PROTOCOL", False),
            allowed_hosts=_hosts(env.text("ALLOWED_HOSTS")),
            root_path=root_path(env),
            max_line_bytes=line,
            max_uri_bytes=env.integer("MAX_URI_BYTES", min(8_000, line), 64, line),
            max_header_bytes=env.integer("MAX_HEADER_BYTES", 4 * line, line, 1 << 20),
            header_timeout=env.integer("HEADER_TIMEOUT", 8, 1, 600),
            max_connections=env.integer("MAX_CONNECTIONS", 0, 0, 1_000_000),
            client_connections=env.integer("CLIENT_CONNECTIONS", CLIENT_CONNECTIONS, 0, 1_000_000),
            client_uploads=env.integer("CLIENT_UPLOADS", 100, 0, 1_000_000),
            client_requests_per_second=env.integer("CLIENT_REQUESTS_PER_SECOND", 2_000, 0, 1_000_000),
        )

    def known_host(self) -> str:
        """Return a served host that a request can name; empty if all hosts are served, or only patterns are set."""
        return next((host for host in self.allowed_hosts if host[0] != "*"), "")

    def crowded(self, workers: int, held: int) -> str:
        """Return a regular expression for numbers above the limit; each of the nginx workers holds `held` connections.

        Without MAX_CONNECTIONS: half of them less RESERVED_CONNECTIONS, at least a quarter: a proxied client takes two.
        """
        most = self.max_connections or workers * max(held // 2 - RESERVED_CONNECTIONS, held // 4)
        return above(most)

    def configuration(self) -> str:
        """Return the directives for nginx's `http` block."""
        return "\n".join(["# Written by `make`, from the settings that .env.example explains.", *self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield "geo $realip_remote_addr $from_proxy {"
        yield from ("    default 0;", *(f"    {network} 1;" for network in self.trusted_proxies), "}")
        yield from (f"set_real_ip_from {network};" for network in self.trusted_proxies)
        yield f"real_ip_header {'proxy_protocol' if self.proxy_protocol else 'X-Forwarded-For'};"
        yield "map $host $host_is_known {"
        if self.allowed_hosts:
            yield from ("    hostnames;", "    default 0;", *(f"    {host} 1;" for host in self.allowed_hosts), "}")
        else:
            yield from ("    default 1;", "}")
        yield "map $uri $outside {"
        if self.root_path:
            yield from ('    default "1";', f'    "~^{re.escape(self.root_path)}(?:/|\\z)" "";', "}")
        else:
            yield from ('    default "";', "}")
        buffers = max(1, self.max_header_bytes // self.max_line_bytes)
        yield from (
            "map $request_uri $long_uri {",
            '    default "";',
            f'    "~^.{{{self.max_uri_bytes + 1},}}" 1;',
            "}",
            f"large_client_header_buffers {buffers} {self.max_line_bytes};",
            f"client_header_timeout {self.header_timeout}s;",
        )
        yield from self._per_client()

    def _per_client(self) -> Iterator[str]:
        if self.client_connections:
            yield "limit_conn_zone $client zone=client_connections:10m;"
            yield f"limit_conn client_connections {self.client_connections};"
        if self.client_uploads:
            yield "limit_conn_zone $uploader zone=client_uploads:10m;"
            yield f"limit_conn client_uploads {self.client_uploads};"
        if rate := self.client_requests_per_second:
            yield f"limit_req_zone $client zone=client_requests:10m rate={rate}r/s;"
            yield f"limit_req zone=client_requests burst={rate} nodelay;"


def above(most: int) -> str:
    """Return the alternatives of a regular expression that match each whole number above `most`."""
    digits = str(most)
    longer = [f"[1-9][0-9]{{{len(digits)},}}"]
    same = [
        f"{digits[:place]}[{int(digit) + 1}-9]" + "[0-9]" * (len(digits) - place - 1)
        for place, digit in enumerate(digits)
        if digit != "9"
    ]
    return "|".join(longer + same)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _networks(text: str) -> tuple[str, ...]:
    found = []
    for word in _words(text):
        try:
            found.append(str(ipaddress.ip_network(word, strict=False)))
        except ValueError:
            allowed = "addresses and networks such as 10.0.0.0/8, separated by commas"
            raise SettingError("TRUSTED_PROXIES", word, allowed) from None
    return tuple(dict.fromkeys(found))


def _hosts(text: str) -> tuple[str, ...]:
    """Return the names as nginx compares them: in lower case, without a port and a trailing dot."""
    found = []
    for word in _words(text):
        host = word.lower().removesuffix(".")
        if len(host) > 253 or not HOST.fullmatch(host):
            allowed = "names without a port such as example.com, or .example.com with all below it, separated by commas"
            raise SettingError("ALLOWED_HOSTS", word, allowed)
        found += [host[1:], f"*{host}"] if host[0] == "." else [host]
    return tuple(dict.fromkeys(found))


def of(variables: Mapping[str, str]) -> EdgeSettings:
    """Return the settings from variables."""
    return EdgeSettings.from_environment(Environment(variables))

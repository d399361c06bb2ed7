"""The probes of `make doctor` for nginx's settings: served hosts and paths, refused sizes, HTTPS."""

import http.client
import socket
import ssl
from contextlib import ExitStack
from urllib.parse import urlsplit

from slipway.middleware.settings import GuardSettings
from slipway.ops.seen_stack import Finding, Probe
from slipway.ops.settings import StackSettings

SECONDS = 5.0
PREFACE = b"PROXY UNKNOWN\r\n"  # sent as an outer proxy does, if PROXY_PROTOCOL is set
NO_HOST = "no-such-host.invalid"
Answer = tuple[int, dict[str, str]]


def exchange(
    settings: StackSettings, target: str = "/", *, host: str = "", fields: tuple[str, ...] = (), https: bool = False
) -> Answer:
    """Return the status and the header fields of a GET; 0 and the reason if nothing answers."""
    parts = urlsplit(settings.https_url if https else settings.url)
    lines = (
        f"GET {target} HTTP/1.1",
        f"Host: {host or settings.ready_host or 'localhost'}",
        *fields,
        "Connection: close",
    )
    try:
        with ExitStack() as opened:
            plain = opened.enter_context(socket.create_connection((parts.hostname or "", parts.port or 80), SECONDS))
            plain.sendall(PREFACE if settings.edge.proxy_protocol else b"")
            connection = opened.enter_context(_trusting().wrap_socket(plain)) if https else plain
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            response = http.client.HTTPResponse(connection)
            response.begin()
            return response.status, {name.lower(): value for name, value in response.getheaders()}
    except (OSError, http.client.HTTPException) as error:
        return 0, {"error": str(error)}


def _trusting() -> ssl.SSLContext:
    """Return a context without verification: the probe is for TLS itself, and the certificate may be self-signed."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _refused(name: str, wanted: int, above: str, answer: Answer) -> Finding:
    status, header = answer
    return name, f"{wanted} above {above}", str(status or header["error"]), status == wanted


def _uri(settings: StackSettings) -> Finding:
    most, path = settings.edge.max_uri_bytes, f"{settings.edge.root_path}/"
    return _refused("MAX_URI_BYTES", 414, f"{most} bytes", exchange(settings, path.ljust(most + 1, "x")))


def _line(settings: StackSettings) -> Finding:
    most = settings.edge.max_line_bytes
    return _refused("MAX_LINE_BYTES", 431, f"{most} bytes", exchange(settings, fields=(f"X-Long: {'x' * most}",)))


def _header(settings: StackSettings) -> Finding:
    """Send fields that are each below MAX_LINE_BYTES and together above MAX_HEADER_BYTES."""
    most, line = settings.edge.max_header_bytes, settings.edge.max_line_bytes
    fields = tuple(f"X-{number}: {'x' * (line - 100)}" for number in range(most // line + 2))
    return _refused("MAX_HEADER_BYTES", 431, f"{most} bytes", exchange(settings, fields=fields))


def _fields(settings: StackSettings) -> Finding:
    most = GuardSettings.from_environment(settings.variables).max_headers
    fields = tuple(f"X-{number}: x" for number in range(most))
    target = f"{settings.edge.root_path}/"
    return _refused("MAX_HEADERS", 431, f"{most} fields", exchange(settings, target, fields=fields))


def _hosts(settings: StackSettings) -> Finding:
    status, header = exchange(settings, f"{settings.edge.root_path}/", host=NO_HOST)
    shown, known = str(status or header["error"]), settings.edge.allowed_hosts
    return "ALLOWED_HOSTS", "421 for others" if known else "any", shown, (status == 421) == bool(known)


def _root_path(settings: StackSettings) -> Finding:
    """Check that nothing is served outside the prefix."""
    if not settings.edge.root_path:
        return "ROOT_PATH", "none", "all paths are the app's", True
    status, header = exchange(settings, "/beside")
    return "ROOT_PATH", f"404 outside {settings.edge.root_path}", str(status or header["error"]), status == 404


def _proxy_protocol(settings: StackSettings) -> Finding:
    """Check that plain HTTP gets no answer if PROXY_PROTOCOL is set, and one if it is not."""
    parts = urlsplit(settings.url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 80), SECONDS) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answers = bool(connection.recv(1))
    except OSError:
        answers = False
    wanted = settings.edge.proxy_protocol
    seen = "answers plain HTTP" if answers else "closes plain HTTP"
    return "PROXY_PROTOCOL", "spoken" if wanted else "off", seen, answers != wanted


def _https(settings: StackSettings) -> Finding:
    status, header = exchange(settings, https=True)
    seen = (
        f"port {settings.https.port} answers {status}" if status else f"port {settings.https.port}: {header['error']}"
    )
    return "HTTPS", settings.https.mode, seen, bool(status) if settings.https.on else None if status else True


def _hsts(settings: StackSettings) -> Finding:
    wanted = settings.https.hsts
    if not settings.https.on:
        return "HSTS", wanted or "off", "HTTPS is off", None
    seen = exchange(settings, https=True)[1].get("strict-transport-security", "")
    return "HSTS", wanted or "off", seen or "off", seen == wanted


def _redirect(settings: StackSettings) -> Finding:
    status, header = exchange(settings, f"{settings.edge.root_path}/doctor")
    wanted = settings.https.redirect and settings.https.on
    seen = str(status or header["error"])
    return "HTTPS_REDIRECT", "308 for plain HTTP" if wanted else "no redirect", seen, (status == 308) == wanted


def _contact(settings: StackSettings) -> Finding:
    status, header = exchange(settings, "/.well-known/security.txt")
    wanted, seen = bool(settings.site.contacts), str(status or header["error"])
    return "SECURITY_CONTACT", "security.txt" if wanted else "none", seen, status == 200 if wanted else None


PROBES: list[Probe] = [
    _uri,
    _line,
    _header,
    _fields,
    _hosts,
    _root_path,
    _proxy_protocol,
    _https,
    _hsts,
    _redirect,
    _contact,
]

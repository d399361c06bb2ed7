"""Refuses request heads that the parser accepts, but HTTP does not allow.

nginx refuses the same, but a worker can be reached without it. Stock behaviour that this replaces: a request without a
Host or with two, an unsupported version, or a transfer coding that stays undecoded reaches the app (RFC 9112 sections
2.3, 3.2 and 6.1).
"""

import re
from typing import Any

HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
ABSOLUTE = re.compile(rb"https?://((?:[A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?)(?:[/?].*)?", re.I)
WRONG_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})|^[^?]*%00")  # NUL is allowed in a query only


DETAILS = {
    400: "The request is malformed.",
    501: "This transfer coding is not known.",
    505: "This version of HTTP is not spoken here.",
}


class Malformed(Exception):
    """A head that is refused with a status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def check(parser: Any, url: bytes, headers: list[tuple[bytes, bytes]]) -> str:
    """Return the version of HTTP, or raise Malformed. The host of an absolute request line replaces the one in the
    Host field."""
    version: str = parser.get_http_version()
    if version not in ("1.1", "1.0"):
        raise Malformed(505)
    hosts = []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            _check_coding(value, version)
    _check_hosts(hosts, version)
    if url[:1] != b"/":
        _check_other_form(parser, url, headers)
    if b"%" in url and WRONG_PERCENT.search(url):
        raise Malformed(400)
    return version


def _check_hosts(hosts: list[bytes], version: str) -> None:
    if len(hosts) != 1 and (hosts or version == "1.1"):
        raise Malformed(400)
    if hosts and not HOST.fullmatch(hosts[0].strip()):
        raise Malformed(400)


def _check_coding(value: bytes, version: str) -> None:
    if version == "1.0":
        raise Malformed(400)
    if value.strip().lower() != b"chunked":
        raise Malformed(501)


def _check_other_form(parser: Any, url: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """RFC 9112 section 3.2: `*` is for OPTIONS, a bare authority for CONNECT, which is refused later."""
    method = parser.get_method()
    if method == b"CONNECT" or (url == b"*" and method == b"OPTIONS"):
        return
    absolute = ABSOLUTE.fullmatch(url)
    if absolute is None:
        raise Malformed(400)
    headers[:] = [(name, absolute[1] if name == b"host" else value) for name, value in headers]

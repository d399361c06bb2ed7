"""The address that the stack listens on: a name, an IPv4 or IPv6 address, or the wildcard of either."""

import ipaddress


def reachable(host: str) -> str:
    """Return the address to connect to: loopback for a wildcard, else the host itself."""
    if not is_any(host):
        return host
    return "::1" if ":" in host else "127.0.0.1"


def is_any(host: str) -> bool:
    """Whether it is a wildcard: all addresses of the machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name
        return False


def with_port(host: str, port: int) -> str:
    """Return host and port, an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(scheme: str, host: str, port: int) -> str:
    """Return the URL at which this machine reaches it."""
    return f"{scheme}://{with_port(reachable(host), port)}"

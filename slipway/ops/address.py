"""The address that the stack listens on: a name, IPv4 or IPv6, or one that stands for all addresses of the machine."""

import ipaddress


def reachable(host: str) -> str:
    """An address of this machine for one that stands for all of them."""
    if not is_any(host):
        return host
    return "::1" if ":" in host else "127.0.0.1"


def is_any(host: str) -> bool:
    """Whether it stands for all of the machine's addresses."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:  # a name
        return False


def with_port(host: str, port: int) -> str:
    """RFC 3986 section 3.2.2: an IPv6 address stands in brackets before a port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url(scheme: str, host: str, port: int) -> str:
    """Where this machine reaches it."""
    return f"{scheme}://{with_port(reachable(host), port)}"

"""The client's address and the scheme, as forwarded by a proxy."""

from functools import lru_cache
from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

FOR, PROTO = NAMES = b"x-forwarded-for", b"x-forwarded-proto"
SCHEMES = frozenset({"http", "https", "ws", "wss"})
MOST_KNOWN = 1_000  # values of X-Forwarded-For whose client is cached


class Forwarded:
    """Changes a scope as uvicorn's ProxyHeadersMiddleware does, without a coroutine per request."""

    def __init__(self, trusted: list[str] | str) -> None:
        nothing: Any = None
        self._trusted = ProxyHeadersMiddleware(nothing, trusted).trusted_hosts
        self._address = lru_cache(MOST_KNOWN)(self._trusted.get_trusted_client_address)

    def __call__(self, scope: Any) -> None:
        """Apply `X-Forwarded-For` and `X-Forwarded-Proto` of a trusted peer."""
        for name, _ in scope["headers"]:
            if name in NAMES:
                client = scope.get("client")
                if (client[0] if client else None) in self._trusted:
                    self._believe(scope)
                return

    def _believe(self, scope: Any) -> None:
        scheme, addresses = b"", []
        for name, value in scope["headers"]:
            if name == FOR:
                addresses.append(value)
            elif name == PROTO:
                scheme = value
        told = scheme.decode("latin-1").strip()
        if told in SCHEMES:
            scope["scheme"] = told.replace("http", "ws") if scope["type"] == "websocket" else told
        if addresses:
            host, port = self._address(b", ".join(addresses).decode("latin-1"))
            if host:  # a proxy may leave it empty
                scope["client"] = host, port

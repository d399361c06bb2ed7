"""The client and the scheme behind a proxy are those that uvicorn's own middleware finds, for any headers."""

import itertools
from typing import Any

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from slipway.middleware.types import Scope
from slipway.serving.forwarded import Forwarded
from tests.harness.driver import http_scope

TRUSTED = ["*", "127.0.0.1", "127.0.0.1,10.0.0.0/8,::1", "proxy"]
CLIENTS: list[tuple[str, int] | None] = [
    None,
    ("127.0.0.1", 1),
    ("10.1.2.3", 2),
    ("::1", 3),
    ("proxy", 4),
    ("8.8.8.8", 5),
]
FOR, PROTO = b"x-forwarded-for", b"x-forwarded-proto"
TOLD: list[list[tuple[bytes, bytes]]] = [
    [],
    [(PROTO, b"https")],
    [(PROTO, b" wss ")],
    [(PROTO, b"HTTPS")],
    [(PROTO, b"gopher"), (PROTO, b"https")],
    [(PROTO, b"https"), (PROTO, b"gopher")],
    [(PROTO, b"\xff")],
    [(FOR, b"1.2.3.4")],
    [(FOR, b"1.2.3.4, 10.0.0.1")],
    [(FOR, b"1.2.3.4"), (PROTO, b"http"), (FOR, b"10.0.0.1, 127.0.0.1")],
    [(FOR, b"10.0.0.2, 10.0.0.1")],
    [(FOR, b"[2001:db8::1]:443")],
    [(FOR, b"1.2.3.4:99")],
    [(FOR, b"")],
    [(FOR, b" , ")],
    [(FOR, b"\xff\xfe")],
]


async def uvicorns(trusted: str, scope: Any) -> Scope:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    nothing: Any = None
    await ProxyHeadersMiddleware(app, trusted)(scope, nothing, nothing)
    return seen[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("trusted", TRUSTED)
async def test_same_as_uvicorns(trusted: str, kind: str) -> None:
    """For each peer and each combination of headers, client and scheme are those of ProxyHeadersMiddleware."""
    ours = Forwarded(trusted)
    for client, told in itertools.product(CLIENTS, TOLD):
        scope = {**http_scope("GET", "/"), "type": kind, "client": client, "headers": [(b"host", b"x"), *told]}
        expected = await uvicorns(trusted, dict(scope))
        ours(scope)

        assert (scope["client"], scope["scheme"]) == (expected["client"], expected["scheme"]), (client, told)


def test_many_clients_cost_no_memory() -> None:
    """The memory for parsed addresses is bounded."""
    ours = Forwarded("*")
    for number in range(3_000):
        ours({"type": "http", "client": None, "headers": [(FOR, b"10.0.%d.%d" % divmod(number, 250))]})

    assert ours._address.cache_info().currsize <= 1_000

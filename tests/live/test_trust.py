"""The proxies that nginx trusts about a client, the hosts that it serves, and what of both reaches the app's scope."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipway.ops.edge import of
from tests.harness.edge import ANSWER, SECONDS, Edge, RawAnswer, Slot, answers, exchange, slots
from tests.harness.processes import running
from tests.harness.stack import Server, behind_nginx, serving

OUTSIDER, TRUSTED = "127.0.0.1", "127.0.0.2"
PROXIES = "127.0.0.2, 10.0.0.0/8, 2001:db8::/32"
HOSTS = "example.com, .example.org, *.example.net, 192.0.2.1, [2001:db8::1]"
KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One worker with an app that answers with its scope."""
    with serving("tests.live.scopes:application", workers=1, PRESTART="none") as started:
        yield started


def head(target: str, *fields: str, host: str = "localhost", version: str = "1.1") -> bytes:
    lines = [f"GET {target} HTTP/{version}", *([f"Host: {host}"] if host else []), *fields, "\r\n"]
    return "\r\n".join(lines).encode()


def scope(answer: RawAnswer) -> Any:
    assert answer.status == 200, answer
    return json.loads(answer.body)


def field(seen: Any, name: str) -> list[str]:
    return [value for key, value in seen["headers"] if key == name]


# The peer's address and fields, and the client and scheme that follow from them.
FORWARDED: dict[str, tuple[str, tuple[str, ...], str, str]] = {
    "nothing, outsider": (OUTSIDER, (), OUTSIDER, "http"),
    "nothing, trusted": (TRUSTED, (), TRUSTED, "http"),
    "outsider lies": (OUTSIDER, ("X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https"), OUTSIDER, "http"),
    "outsider names trusted ones": (OUTSIDER, ("X-Forwarded-For: 9.9.9.9, 10.0.0.1",), OUTSIDER, "http"),
    "one hop": (TRUSTED, ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"), "203.0.113.7", "https"),
    "one hop, IPv6": (TRUSTED, ("X-Forwarded-For: 2001:dba::7", "X-Forwarded-Proto: HTTPS"), "2001:dba::7", "https"),
    "one hop, http": (TRUSTED, ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: http"), "203.0.113.7", "http"),
    "scheme alone": (TRUSTED, ("X-Forwarded-Proto: https",), TRUSTED, "https"),
    "scheme that is none": (TRUSTED, ("X-Forwarded-Proto: gopher",), TRUSTED, "http"),
    "client lies to the proxy": (TRUSTED, ("X-Forwarded-For: 9.9.9.9, 203.0.113.7",), "203.0.113.7", "http"),
    "client says to be trusted": (TRUSTED, ("X-Forwarded-For: 10.1.1.1, 203.0.113.7",), "203.0.113.7", "http"),
    "two hops": (
        TRUSTED,
        ("X-Forwarded-For: 203.0.113.7, 10.0.0.1", "X-Forwarded-Proto: https"),
        "203.0.113.7",
        "https",
    ),
    "four hops": (
        TRUSTED,
        ("X-Forwarded-For: 9.9.9.9, 203.0.113.7, 10.0.0.1, 2001:db8::5, 10.3.2.1", "X-Forwarded-Proto: https"),
        "203.0.113.7",
        "https",
    ),
    "two fields": (TRUSTED, ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 10.0.0.1"), "203.0.113.7", "http"),
    "all hops are trusted": (TRUSTED, ("X-Forwarded-For: 10.0.0.9, 10.0.0.1",), "10.0.0.9", "http"),
    "with ports": (TRUSTED, ("X-Forwarded-For: 203.0.113.7:4711, 10.0.0.1:80",), "203.0.113.7", "http"),
    "each hop adds its scheme": (
        TRUSTED,
        ("X-Forwarded-For: 203.0.113.7, 10.0.0.1", "X-Forwarded-Proto: https, http"),
        "203.0.113.7",
        "https",
    ),
    "each adds, and the client lies": (
        TRUSTED,
        ("X-Forwarded-For: 1.1.1.1, 203.0.113.7, 10.0.0.1", "X-Forwarded-Proto: https, http, https"),
        "203.0.113.7",
        "http",
    ),
    "the client lies in the scheme alone": (
        TRUSTED,
        ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https, http"),
        "203.0.113.7",
        "http",
    ),
    "signs of our own in what a client says": (
        TRUSTED,
        ("X-Forwarded-For: a|https|1 \\n, 203.0.113.7", "X-Forwarded-Proto: 1 x\\nhttps\\n, http"),
        "203.0.113.7",
        "http",
    ),
}


async def test_forwarded_fields(server: Server) -> None:
    """A trusted proxy's fields give client and scheme, past all trusted hops; those of any other peer are ignored."""
    with behind_nginx(server, of({"TRUSTED_PROXIES": PROXIES})) as proxy:
        for name, (source, fields, client, scheme) in FORWARDED.items():
            seen = scope(await exchange(proxy.address, head("/", *fields), source=source))

            assert (seen["client"][0], seen["scheme"]) == (client, scheme), name
            assert field(seen, "x-forwarded-for") == [client], name
            assert field(seen, "x-forwarded-proto") == [scheme], name


async def test_no_proxy_is_trusted_by_default(server: Server) -> None:
    """Without the setting the peer is the client, whatever its fields say."""
    with behind_nginx(server, of({})) as proxy:
        fields = ("X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https", "Forwarded: for=9.9.9.9;proto=https")
        seen = scope(await exchange(proxy.address, head("/", *fields), source=TRUSTED))

    assert (seen["client"][0], seen["scheme"]) == (TRUSTED, "http")
    assert not field(seen, "forwarded")


async def test_websocket_has_client_and_scheme(server: Server) -> None:
    """A handshake passed on by a trusted proxy is `wss` if its scheme is https."""
    with behind_nginx(server, of({"TRUSTED_PROXIES": PROXIES})) as proxy:
        fields = ("X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https", *HANDSHAKE)
        reader, writer = await asyncio.open_connection(*proxy.address, local_addr=(TRUSTED, 0))
        writer.write(head("/", *fields))
        async with asyncio.timeout(SECONDS):
            await reader.readuntil(b"\r\n\r\n")
            seen = json.loads(await _frame(reader))
        writer.close()

    assert (seen["type"], seen["client"][0], seen["scheme"]) == ("websocket", "203.0.113.7", "wss")


async def _frame(reader: asyncio.StreamReader) -> bytes:
    """Read the payload of the next frame: RFC 6455 section 5.2."""
    size = (await reader.readexactly(2))[1]
    return await reader.readexactly(int.from_bytes(await reader.readexactly(2)) if size == 126 else size)


PREFACES: dict[str, tuple[str, bytes, str, str]] = {
    "version 1": (TRUSTED, b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n", "203.0.113.7", "http"),
    "version 1, IPv6": (TRUSTED, b"PROXY TCP6 2001:dba::7 ::1 4711 80\r\n", "2001:dba::7", "http"),
    "version 1, to the port of TLS": (TRUSTED, b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n", "203.0.113.7", "https"),
    "version 2": (
        TRUSTED,
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([203, 0, 113, 7, 10, 0, 0, 1, 18, 103, 0, 80]),
        "203.0.113.7",
        "http",
    ),
    "no client behind it": (TRUSTED, b"PROXY UNKNOWN\r\n", TRUSTED, "http"),
    "from an outsider": (OUTSIDER, b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n", OUTSIDER, "http"),
}


async def test_proxy_protocol(server: Server) -> None:
    """With PROXY_PROTOCOL a preface names the client; one from an untrusted address changes nothing."""
    with behind_nginx(server, of({"TRUSTED_PROXIES": PROXIES, "PROXY_PROTOCOL": "1"})) as proxy:
        for name, (source, preface, client, scheme) in PREFACES.items():
            lies = ("X-Forwarded-For: 9.9.9.9",)
            seen = scope(await exchange(proxy.address, preface + head("/", *lies), source=source))

            assert (seen["client"][0], seen["scheme"]) == (client, scheme), name


# The request line's target and the Host fields, and the Host that the app gets.
UNDERSTOOD: dict[str, tuple[bytes, str]] = {
    "plain": (head("/", host="example.com"), "example.com"),
    "port": (head("/", host="example.com:8080"), "example.com:8080"),
    "upper case": (head("/", host="EXAMPLE.com:80"), "example.com:80"),
    "closing dot": (head("/", host="example.com."), "example.com"),
    "IPv6": (head("/", host="[2001:db8::1]:8080"), "[2001:db8::1]:8080"),
    "IPv6 without port": (head("/", host="[2001:db8::1]"), "[2001:db8::1]"),
    "absolute": (head("http://example.com/a?b", host="other.org"), "example.com"),
    "absolute with port": (head("http://example.com:8080/a", host="other.org:9"), "example.com:8080"),
    "absolute, the field has a port": (head("http://example.com/a", host="example.com:9"), "example.com"),
    "absolute, https": (head("HTTPS://example.com", host="other.org"), "example.com"),
    "absolute, a query at once": (head("http://example.com?a", host="other.org:9"), "example.com"),
    "absolute, IPv6": (head("http://[2001:db8::1]:80/", host="other.org"), "[2001:db8::1]:80"),
    "port that is none": (head("/", host="example.com:x"), "example.com"),
}


@pytest.fixture
async def slot(folder: Path) -> AsyncIterator[Slot]:
    """The slot, which records what the app is sent."""
    async with slots(folder, [answers]) as served:
        yield served[0]


def host_of(request: bytes) -> list[str]:
    lines = request.decode("latin-1").split("\r\n")
    return [value.strip() for name, _, value in (line.partition(":") for line in lines) if name.lower() == "host"]


async def test_host_is_what_nginx_has_understood(folder: Path, slot: Slot) -> None:
    """An absolute target overrides the Host field, the port stays, and the app gets one Host."""
    with running(Edge(folder)) as edge:
        for name, (data, host) in UNDERSTOOD.items():
            answer = await exchange(edge.address, data)

            assert answer.status == 200, (name, answer)
            assert host_of(slot.heads[-1]) == [host], name
        await exchange(edge.address, head("/", host="", version="1.0"))

    assert host_of(slot.heads[-1]) == [f"127.0.0.1:{edge.port}"]


KNOWN = {
    "example.com": 200,
    "example.com:8443": 200,
    "EXAMPLE.COM.": 200,
    "www.example.com": 421,
    "example.com.evil.org": 421,
    "notexample.com": 421,
    "example.org": 200,
    "a.b.example.org": 200,
    "notexample.org": 421,
    "example.net": 421,
    "a.example.net": 200,
    "192.0.2.1": 200,
    "192.0.2.2": 421,
    "[2001:db8::1]:80": 200,
    "localhost": 421,
    "127.0.0.1": 421,
    "_": 421,
    "*.example.org": 200,  # a name of its own, below a known one
}


async def test_unknown_hosts_are_refused(folder: Path, slot: Slot) -> None:
    """With ALLOWED_HOSTS a request for another host, or a websocket's handshake, is a 421 problem."""
    with running(Edge(folder, settings=of({"ALLOWED_HOSTS": HOSTS}))) as edge:
        for host, status in KNOWN.items():
            for fields in ((), HANDSHAKE):
                answer = await exchange(edge.address, head("/", *fields, host=host))

                assert answer.status == status, (host, answer)
                if status == 421:
                    assert answer.fields["content-type"] == "application/problem+json"
                    assert json.loads(answer.body)["request_id"] == answer.fields["x-request-id"]
        absolute = await exchange(edge.address, head("http://other.org/", host="example.com"))
        none = await exchange(edge.address, head("/", host="", version="1.0"))
        asked = len(slot.heads)

    assert (absolute.status, none.status) == (421, 421)
    assert asked == 2 * list(KNOWN.values()).count(200)


ASIDE = {
    "another host": ({"ALLOWED_HOSTS": HOSTS}, 421, head("/.well-known/acme-challenge/other", host="other.org")),
    "outside of the prefix": ({"ROOT_PATH": "/api"}, 404, head("/.well-known/acme-challenge/other")),
    "HTTP/0.9": ({}, 505, b"GET /.well-known/acme-challenge/other\r\n"),
}


@pytest.mark.parametrize("kind", ASIDE)
async def test_a_path_of_nginx_s_own_is_no_way_around(folder: Path, slot: Slot, kind: str) -> None:
    """A request that nginx leaves to the app, since it has no such file, is checked as any other request."""
    settings, status, data = ASIDE[kind]
    with running(Edge(folder, settings=of(settings))) as edge:
        answer = await exchange(edge.address, data)
        asked = len(slot.heads)

    assert (answer.status or json.loads(answer.body)["status"], asked) == (status, 0)


async def test_health_checks_may_name_any_host(folder: Path, slot: Slot) -> None:
    """Health checks for any host are answered, since balancers and the stack itself ask by address."""
    with running(Edge(folder, settings=of({"ALLOWED_HOSTS": HOSTS}))) as edge:
        healthy = [await exchange(edge.address, head("/readyz", host=host)) for host in ("127.0.0.1:8080", "localhost")]
        none = await exchange(edge.address, head("/livez", host="", version="1.0"))

    assert [answer.status for answer in (*healthy, none)] == [200, 200, 200]


async def test_any_host_is_served_by_default(folder: Path, slot: Slot) -> None:
    """Without the setting every host is served."""
    with running(Edge(folder, settings=of({}))) as edge:
        answer = await exchange(edge.address, head("/", host="whatever.example"))

    assert answer.head.startswith(ANSWER[:15])

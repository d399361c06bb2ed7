"""Each answer of nginx's own is problem details with the request's id, for every way to send it something wrong."""

import json
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.edge import Behaviour, Edge, RawAnswer, answers, breaks, exchange, first, says, silent, slots
from tests.harness.processes import free_ports, running, short_folder

HOST = b"Host: localhost\r\n"
BODY = b"x" * 2_000  # the limit is 1,000
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def get(target: bytes = b"/", fields: bytes = b"", method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return method + b" " + target + b" " + version + b"\r\n" + HOST + fields + b"\r\n"


def post(fields: bytes, body: bytes, target: bytes = b"/") -> bytes:
    return get(target, fields, b"POST") + body


BYTES: dict[str, tuple[int, bytes]] = {
    # The request line
    "lower case method": (400, get(method=b"get")),
    "digits in the method": (400, get(method=b"G3T")),
    "control byte in the method": (400, get(method=b"G\x01T")),
    "raw byte in the method": (400, get(method=b"G\xffT")),
    "no method": (400, b" / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "no target": (400, b"GET\r\n\r\n"),
    "relative target": (400, get(b"index.html")),
    "asterisk target": (400, get(b"*", method=b"OPTIONS")),
    "control byte in the target": (400, get(b"/\x01")),
    "NUL in the target": (400, get(b"/\x00")),
    "DEL in the target": (400, get(b"/\x7f")),
    "space in the target": (400, get(b"/a b")),
    "percent and no digits": (400, get(b"/%zz")),
    "percent NUL": (400, get(b"/%00")),
    "above the root": (400, get(b"/../etc")),
    "other scheme's garbage": (400, get(b"http:/x")),
    "absolute target without host": (400, get(b"http://")),
    "lower case protocol": (400, get(version=b"http/1.1")),
    "other protocol": (400, get(version=b"SIP/2.0")),
    "letters for a version": (400, get(version=b"HTTP/x.y")),
    "TLS hello to the plain port": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\n\n"),
    "not HTTP at all": (400, b"\x00\x01\x02\x03\xff\xfe\n\n"),
    "HTTP/2 request line": (505, get(version=b"HTTP/2.0")),
    "HTTP/3 request line": (505, get(version=b"HTTP/3.0")),
    "HTTP/9 request line": (505, get(version=b"HTTP/9.9")),
    "target of 9 KiB": (414, get(b"/" + b"a" * 9_000)),
    "target of 60 KiB": (414, get(b"/" + b"a" * 60_000)),
    "query of 9 KiB": (414, get(b"/?" + b"a" * 9_000)),
    # The fields
    "no Host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two Hosts": (400, get(fields=HOST)),
    "Host with a slash": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "Host with a control byte": (400, b"GET / HTTP/1.1\r\nHost: a\x01b\r\n\r\n"),
    "space before the colon": (400, get(fields=b"X-A : b\r\n")),
    "control byte in a field's name": (400, get(fields=b"X-\x01: b\r\n")),
    "NUL in a field's name": (400, get(fields=b"X-\x00: b\r\n")),
    "NUL in a field": (400, get(fields=b"X-A: \x00\r\n")),
    "bare CR in a field's name": (400, get(fields=b"X\rA: b\r\n")),
    "folded field": (400, get(fields=b"X-A: a\r\n b\r\n")),
    "field of 9 KiB": (431, get(fields=b"X-A: " + b"a" * 9_000 + b"\r\n")),
    "name of 9 KiB": (431, get(fields=b"X" * 9_000 + b": a\r\n")),
    "fields of 40 KiB": (431, get(fields=b"".join(b"X-%d: %s\r\n" % (n, b"a" * 4_000) for n in range(10)))),
    # The body
    "length that is no number": (400, post(b"Content-Length: ten\r\n", b"")),
    "negative length": (400, post(b"Content-Length: -1\r\n", b"")),
    "length of a hundred digits": (400, post(b"Content-Length: " + b"9" * 100 + b"\r\n", b"")),
    "two lengths": (400, post(b"Content-Length: 1\r\nContent-Length: 2\r\n", b"x")),
    "length and chunks": (400, post(b"Content-Length: 1\r\n" + CHUNKED, b"0\r\n\r\n")),
    "chunks in HTTP/1.0": (400, get(fields=CHUNKED, method=b"POST", version=b"HTTP/1.0") + b"0\r\n\r\n"),
    "unknown transfer coding": (501, post(b"Transfer-Encoding: gzip\r\n", b"")),
    "two transfer codings": (501, post(b"Transfer-Encoding: gzip, chunked\r\n", b"")),
    "size of a chunk that is no number": (400, post(CHUNKED, b"zz\r\n")),
    "chunk that is longer than its size": (400, post(CHUNKED, b"1\r\nxx\r\n")),
    "size of a chunk that overflows": (400, post(CHUNKED, b"f" * 40 + b"\r\n")),
    "declared body over the limit": (413, post(b"Content-Length: 2000\r\n", BODY)),
    "declared body over the limit, none sent": (413, post(b"Content-Length: 99999999\r\n", b"")),
    "chunked body over the limit": (413, post(CHUNKED, b"7d0\r\n" + BODY + b"\r\n0\r\n\r\n")),
    "body over the limit that waits": (413, post(b"Content-Length: 2000\r\nExpect: 100-continue\r\n", b"")),
    # What is not offered
    "TRACE": (405, get(method=b"TRACE")),
    "private path": (404, get(b"/metrics")),
    "private path by another method": (404, get(b"/metrics", method=b"DELETE")),
    "the errors' own path": (404, get(b"/_problem")),
    "HTTP/1.0": (404, get(b"/metrics", version=b"HTTP/1.0")),
}


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    """An nginx without a worker: no request in the table may get that far."""
    with short_folder() as path, running(Edge(path)) as started:
        yield started


def assert_problem(answer: RawAnswer, status: int, *, head_only: bool = False) -> None:
    """Check the common form: status, content type, JSON, one id in body and header, and no word of nginx's own."""
    assert answer.status == status, answer
    assert answer.fields["content-type"] == "application/problem+json"
    assert answer.fields["cache-control"] == "no-store"
    assert b"nginx/" not in answer.head
    if head_only:
        assert len(answer.fields["x-request-id"]) == 32
        return
    problem = json.loads(answer.body)
    assert problem.keys() == {"type", "title", "status", "detail", "request_id"}
    assert problem["status"] == status
    assert problem["request_id"] == answer.fields["x-request-id"]
    assert len(problem["request_id"]) == 32
    assert problem["title"] != "Error"
    assert b"nginx" not in answer.body


@pytest.mark.parametrize(("status", "data"), BYTES.values(), ids=BYTES)
async def test_wrong_requests(edge: Edge, status: int, data: bytes) -> None:
    """Each wrong request is refused by nginx itself, in the common form."""
    assert_problem(await exchange(edge.address, data), status)


@pytest.mark.parametrize("target", [b"/", b"localhost:80"])
async def test_connect(edge: Edge, target: bytes) -> None:
    """CONNECT is refused; which forms of it are malformed and which are only not allowed depends on nginx's version."""
    answer = await exchange(edge.address, get(target, method=b"CONNECT"))

    assert answer.status in (400, 405)
    assert_problem(answer, answer.status)


async def test_trace_says_what_is_allowed(edge: Edge) -> None:
    """A 405 of nginx's own names the methods that it passes on: RFC 9110 section 15.5.6."""
    answer = await exchange(edge.address, get(method=b"TRACE"))

    assert answer.status == 405
    assert answer.fields["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert "allow" not in (await exchange(edge.address, get(b"/metrics"))).fields


async def test_head_has_the_fields_alone(edge: Edge) -> None:
    """The answer to HEAD has no body, and the same fields."""
    assert_problem(await exchange(edge.address, get(b"/metrics", method=b"HEAD"), no_body=True), 404, head_only=True)


@pytest.mark.parametrize("data", [b"GET /\r\n", b"GET /metrics\r\n", b"GET /a/b?c\n"], ids=["root", "private", "query"])
async def test_http_0_9(edge: Edge, data: bytes) -> None:
    """HTTP/0.9 has no head: the answer is the body alone, and that is a problem."""
    answer = await exchange(edge.address, data)

    assert not answer.head
    assert json.loads(answer.body)["status"] == (404 if b"metrics" in data else 505)


async def test_every_status_of_nginx_has_words() -> None:
    """Each status that errors.conf.template handles has a title and a detail in problems.conf."""
    folder = Path(__file__).parents[2] / "nginx"
    taken = {
        int(word.removeprefix("="))
        for line in (folder / "errors.conf.template").read_text().splitlines()
        if line.startswith("error_page")
        for word in line.removesuffix(" =308 /_moved;").split()
        if word.removeprefix("=").isdecimal()
    }
    words = (folder / "problems.conf").read_text()

    for status in taken - {494, 495, 496, 497, 590, 591, 592, 593}:
        assert words.count(f"\n    {status} ") == 2, status


BROKEN: dict[str, tuple[int, bytes, list[Behaviour]]] = {
    "no worker at all": (502, b"GET", []),
    "no worker at all, POST": (502, b"POST", []),
    "worker that dies": (502, b"GET", [breaks]),
    "worker that dies, POST": (502, b"POST", [breaks]),
    "head that is too large": (502, b"GET", [says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n")]),
    "worker that is silent": (504, b"GET", [silent]),
    "worker that is silent, POST": (504, b"POST", [silent]),
}


@pytest.mark.parametrize(("status", "method", "behaviours"), BROKEN.values(), ids=BROKEN)
async def test_broken_workers(folder: Path, status: int, method: bytes, behaviours: list[Behaviour]) -> None:
    """nginx's answer in place of a broken worker has the same form and names a time to try again."""
    async with slots(folder, behaviours):
        with running(Edge(folder, read_timeout=1)) as started:
            answer = await exchange(started.address, get(method=method))

    assert_problem(answer, status)
    assert answer.fields["retry-after"] == "1"


async def test_time_is_over_in_the_second_attempt(folder: Path) -> None:
    """A worker that is silent after another has died leads to a 504 in the same form."""
    async with slots(folder, [first(1, breaks, silent)]):
        with running(Edge(folder, read_timeout=1)) as started:
            answer = await exchange(started.address, get())

    assert_problem(answer, 504)


async def test_tls(folder: Path) -> None:
    """Plain HTTP on the TLS port, and a client with a wrong certificate or without the required one, get a 400."""
    own, other = _certificate(folder, "own"), _certificate(folder, "other")
    port = free_ports()
    tls = (
        f"; ssl_certificate {own[0]}; ssl_certificate_key {own[1]};"
        f" ssl_client_certificate {own[0]}; ssl_verify_client on; listen 127.0.0.1:{port} ssl"
    )
    async with slots(folder, [answers]):
        with running(Edge(folder, listen=tls)):
            refused = [await exchange(("127.0.0.1", port), get()), await _by_tls(port), await _by_tls(port, *other)]
            served = await _by_tls(port, *own)

    for answer in refused:
        assert_problem(answer, 400)
    assert served.status == 200


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Create a self-signed certificate and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    how = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}"]
    subprocess.run(["openssl", "req", *how, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


async def _by_tls(port: int, certificate: Path | None = None, key: Path | None = None) -> RawAnswer:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key)
    return await exchange(("127.0.0.1", port), get(), tls=context)

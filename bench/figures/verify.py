"""Compares the responses of each arm with the reference, byte for byte, before anything is timed."""

import http.client
import random
import string
from dataclasses import dataclass

IGNORED = {"date", "x-request-id", "connection", "server"}


@dataclass(frozen=True, slots=True)
class VerificationRequest:
    """One request of the comparison."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = ""


def verification_requests(seed: int) -> list[VerificationRequest]:
    """Every kind of request, with random values."""
    ask = VerificationRequest
    chance = random.Random(seed)
    word = "".join(chance.choices(string.ascii_letters + "äöü€", k=12))
    json = f'{{"name":"{word}"}}'.encode()
    return [
        ask("GET", "/plaintext"),
        ask("GET", "/json"),
        ask("GET", "/db"),
        ask("GET", f"/wait?ms={chance.randint(0, 9)}"),
        ask("GET", f"/cpu?ms={chance.randint(0, 3)}"),
        ask("GET", f"/wait?ms={chance.choice(['x', '-1', '99999', ''])}"),
        ask("GET", f"/{chance.getrandbits(64):x}"),
        ask("DELETE", "/plaintext"),
        ask("HEAD", "/plaintext"),
        ask("GET", f"/api/users/{chance.getrandbits(40)}"),
        ask("GET", f"/api/users?limit={chance.randint(1, 50)}"),
        ask("POST", "/api/users", b'{"name":' + str(chance.random()).encode() + b"}", "application/json"),
        ask("POST", "/api/users", json[:-1], "application/json"),
        ask("POST", "/api/users", json, "text/plain"),
        ask("POST", "/echo", chance.randbytes(chance.randint(1, 70_000)), "application/octet-stream"),
        ask("POST", "/echo", b"", "application/octet-stream"),
    ]


def answer(port: int, request: VerificationRequest) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers without IGNORED, and the body without the request id."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Content-Type": request.content_type} if request.content_type else {}
        connection.request(request.method, request.path, request.body or None, headers)
        response = connection.getresponse()
        body, request_id = response.read(), response.getheader("x-request-id") or ""
        kept = sorted((k.lower(), v) for k, v in response.getheaders() if k.lower() not in IGNORED)
        return response.status, kept, body.replace(request_id.encode(), b"ID") if request_id else body
    finally:
        connection.close()


def differences(reference: int, other: int, seed: int) -> list[str]:
    """The requests that the servers on both ports answer differently."""
    found = []
    for request in verification_requests(seed):
        one, two = answer(reference, request), answer(other, request)
        if one != two:
            found.append(f"{request.method} {request.path}: {_short(one)} and {_short(two)}")
    return found


def _short(found: tuple[int, list[tuple[str, str]], bytes]) -> str:
    return f"{found[0]} {found[1]} {found[2][:80]!r}"

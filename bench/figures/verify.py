"""Before anything is timed: each arm answers as the reference does, byte for byte, to requests with random values."""

import http.client
import random
import string
from dataclasses import dataclass

IGNORED = {"date", "x-request-id", "connection", "server"}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of the comparison."""

    method: str
    path: str
    body: bytes = b""
    content_type: str = ""


def asks(seed: int) -> list[Ask]:
    """Every sort of request, with values that nobody can have prepared for."""
    chance = random.Random(seed)
    word = "".join(chance.choices(string.ascii_letters + "äöü€", k=12))
    json = f'{{"name":"{word}"}}'.encode()
    return [
        Ask("GET", "/plaintext"),
        Ask("GET", "/json"),
        Ask("GET", "/db"),
        Ask("GET", f"/wait?ms={chance.randint(0, 9)}"),
        Ask("GET", f"/cpu?ms={chance.randint(0, 3)}"),
        Ask("GET", f"/wait?ms={chance.choice(['x', '-1', '99999', ''])}"),
        Ask("GET", f"/{chance.getrandbits(64):x}"),
        Ask("DELETE", "/plaintext"),
        Ask("HEAD", "/plaintext"),
        Ask("GET", f"/api/users/{chance.getrandbits(40)}"),
        Ask("GET", f"/api/users?limit={chance.randint(1, 50)}"),
        Ask("POST", "/api/users", b'{"name":' + str(chance.random()).encode() + b"}", "application/json"),
        Ask("POST", "/api/users", json[:-1], "application/json"),
        Ask("POST", "/api/users", json, "text/plain"),
        Ask("POST", "/echo", chance.randbytes(chance.randint(1, 70_000)), "application/octet-stream"),
        Ask("POST", "/echo", b"", "application/octet-stream"),
    ]


def answer(port: int, ask: Ask) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers without those that change by themselves, and the body without the request's id."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        headers = {"Content-Type": ask.content_type} if ask.content_type else {}
        connection.request(ask.method, ask.path, ask.body or None, headers)
        response = connection.getresponse()
        body, request_id = response.read(), response.getheader("x-request-id") or ""
        kept = sorted((k.lower(), v) for k, v in response.getheaders() if k.lower() not in IGNORED)
        return response.status, kept, body.replace(request_id.encode(), b"ID") if request_id else body
    finally:
        connection.close()


def differences(reference: int, other: int, seed: int) -> list[str]:
    """What the server on one port answers differently from that on the other."""
    found = []
    for ask in asks(seed):
        one, two = answer(reference, ask), answer(other, ask)
        if one != two:
            found.append(f"{ask.method} {ask.path}: {_short(one)} and {_short(two)}")
    return found


def _short(found: tuple[int, list[tuple[str, str]], bytes]) -> str:
    return f"{found[0]} {found[1]} {found[2][:80]!r}"

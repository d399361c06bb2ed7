"""The trace of a request: W3C Trace Context, https://www.w3.org/TR/trace-context/.

A request without a `traceparent` begins a trace. The trace id is the request id if its form allows, the span id its
first half, so that nginx, which makes the request id, can log both by itself.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from random import getrandbits

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
FIRST_BIT = 1 << 127
HEXADECIMAL, FIRST_OWN = b"0123456789abcdef", b"%032x" % (1 << 64)
_IDS = rb"(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
PARENT = re.compile(rb"(?:00-%b|(?!00|ff)[0-9a-f]{2}-%b(?:-[!-~]*)?)" % (_IDS, _IDS))


@dataclass(frozen=True, slots=True)
class Parent:
    """The span of the caller, and whether the caller records it."""

    trace_id: str
    span_id: str
    sampled: bool


class RequestIds:
    """The ids of a request; those for records and spans alone are made on first use."""

    __slots__ = ("_own", "header", "request_id", "traceparent")

    request_id: str
    header: tuple[bytes, bytes]
    traceparent: bytes | None
    _own: bytes | None

    def identify(self, given: bytes | None) -> None:
        """Take the id given by the caller if it is safe to log, else make one."""
        if given is None or not ((given.isalnum() and len(given) <= 64) or REQUEST_ID.fullmatch(given)):
            given = self._own = new_id()
        self.request_id = given.decode()
        self.header = b"x-request-id", given

    @property
    def parent(self) -> Parent | None:
        """The caller's span."""
        return None if self.traceparent is None else parent(self.traceparent)

    @property
    def own(self) -> bytes:
        """32 hexadecimal digits: the trace id of a request without a parent; the first 16 are its span id."""
        if self._own is None:
            given = self.header[1]
            self._own = given if is_own(given) else new_id()
        return self._own

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        caller = self.parent
        return self.own.decode() if caller is None else caller.trace_id

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return self.own[:16].decode()


# The request of the current task, for the fields of records.
current: ContextVar[RequestIds | None] = ContextVar("request", default=None)


def fields() -> dict[str, str]:
    """Return the ids of the current request, for a record; none outside of requests."""
    request = current.get()
    if request is None:
        return {}
    return {"request_id": request.request_id, "trace_id": request.trace_id, "span_id": request.span_id}


def is_own(request_id: bytes) -> bool:
    """Whether an id has the form of nginx's, and its first half, the span id, is not all zero."""
    return len(request_id) == 32 and not request_id.strip(HEXADECIMAL) and request_id >= FIRST_OWN


def new_id() -> bytes:
    """Return 32 hexadecimal digits, of which the first 16 are not all zero."""
    return (getrandbits(128) | FIRST_BIT).to_bytes(16).hex().encode()


def parent(value: bytes) -> Parent | None:
    """Parse a `traceparent`; return None for a malformed one."""
    found = PARENT.fullmatch(value)
    if found is None:
        return None
    trace, span, flags = (each.decode() for each in found.groups() if each is not None)
    return Parent(trace, span, bool(int(flags, 16) & 1))

"""Which trace a request belongs to: W3C Trace Context, https://www.w3.org/TR/trace-context/.

A request without a `traceparent` begins a trace, whose id is the request's own, and its span the first half of that: so
nginx, which makes the id, can name both in its log by itself.
"""

import re
from contextvars import ContextVar
from dataclasses import dataclass
from random import getrandbits
from typing import Protocol

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
OWN_ID = re.compile(rb"(?!0{16})[0-9a-f]{32}")  # as nginx makes them
_IDS = rb"(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})"
PARENT = re.compile(rb"(?:00-%b|(?!00|ff)[0-9a-f]{2}-%b(?:-[!-~]*)?)" % (_IDS, _IDS))


class Identified(Protocol):
    """A request under way."""

    request_id: str
    trace_id: str

    @property
    def span_id(self) -> str: ...


# The request in whose task a record is made, for the fields of the record.
current: ContextVar[Identified | None] = ContextVar("request", default=None)


def fields() -> dict[str, str]:
    """The ids of the request that is served where this is called, for a record; none outside of requests."""
    request = current.get()
    if request is None:
        return {}
    return {"request_id": request.request_id, "trace_id": request.trace_id, "span_id": request.span_id}


is_own = OWN_ID.fullmatch
is_sane = REQUEST_ID.fullmatch


@dataclass(frozen=True, slots=True)
class Parent:
    """The span of the caller, and whether the caller records it."""

    trace_id: str
    span_id: str
    sampled: bool


def new_id() -> str:
    """32 hexadecimal digits, of which the first 16 are not all zero."""
    return f"{getrandbits(128) | 1 << 127:032x}"


def parent(value: bytes) -> Parent | None:
    """What a `traceparent` says; None for a malformed one."""
    found = PARENT.fullmatch(value)
    if found is None:
        return None
    trace, span, flags = (each.decode() for each in found.groups() if each is not None)
    return Parent(trace, span, bool(int(flags, 16) & 1))

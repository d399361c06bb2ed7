"""Validation of client input: a wrong field is a 422 that names the field, its value and the allowed values."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from app.asgi.errors import HTTPError
from app.services.errors import BadCursor

BLANK = re.compile(r"[\s\ufeff]*")  # white space in ECMAScript, whose patterns openapi.json uses
# Unicode's categories Cc and Cs, control characters and surrogates: PostgreSQL refuses NUL, UTF-8 has no surrogates.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def invalid(field: str, value: Any, allowed: str) -> HTTPError:
    """Return a 422 for one field."""
    shown = repr(value)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    shown = shown.encode(errors="backslashreplace").decode()
    error = {"field": field, "value": shown, "allowed": allowed}
    return HTTPError(422, f"{field} is {shown}; it must be {allowed}.", members={"errors": [error]})


def json_object(data: Any) -> dict[str, Any]:
    """Return the decoded JSON if it is an object; raises 422 for any other value."""
    if not isinstance(data, dict):
        raise invalid("body", data, "a JSON object")
    return data


def text(data: Mapping[str, Any], field: str, most: int, *, lines: bool = False) -> str:
    """Return a string of 1 to `most` characters, not all blank, no control characters (`lines` allows line feeds)."""
    value = data.get(field)
    if not isinstance(value, str) or not 1 <= len(value) <= most or (not value.isalnum() and BLANK.fullmatch(value)):
        raise invalid(field, value, f"a text of 1 to {most} characters, not all of them blank")
    if not value.isprintable() and CONTROL.search(value.replace("\n", "") if lines else value):
        raise invalid(field, value, "a text without control characters")
    return value


def integer(query: Mapping[str, str], field: str, default: int, low: int, high: int) -> int:
    """Return a whole number from `low` to `high` in a query string."""
    value = query.get(field, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 20 and low <= int(value) <= high):
        raise invalid(field, value, f"a whole number from {low} to {high}")
    return int(value)


def message_id(parse: Callable[[str], object], text: str | None) -> str | None:
    """Return the id to resume from, or None without one; a text that can't be an id of the bus is a 400."""
    try:
        if text:
            parse(text)
    except BadCursor:
        raise HTTPError(400, f"{text[:40] if text else text!r} is not the id of a message.") from None
    return text or None

"""The accepted values of a field; any other input is a 422 that can be written as JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import fields
from app.asgi.errors import HTTPError
from app.asgi.request import parse_json
from app.asgi.response import Response
from app.services.errors import BadCursor

ANYTHING = st.text(st.characters(exclude_categories=()))  # lone surrogates included
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANYTHING,
    lambda inner: st.lists(inner) | st.dictionaries(ANYTHING, inner),
    max_leaves=10,
)


def refused(error: HTTPError, field: str) -> dict[str, Any]:
    """Return the only error of a 422, after writing it as an answer."""
    body = json.loads(Response.problem(error, "id").body)
    (found,) = body["errors"]
    assert error.status == 422
    assert found["field"] == field
    assert body["detail"] == f"{field} is {found['value']}; it must be {found['allowed']}."
    return dict(found)


@pytest.mark.parametrize("text", ["a", "x" * 10, "  a ", "ü\U0001f600", "e\u0301", "\u200d", "\u00a0a"])
def test_text(text: str) -> None:
    """A text of 1 to 10 characters is returned unchanged."""
    assert fields.text({"name": text}, "name", 10) == text


BAD_TEXTS = [
    "",
    "   ",
    "\u00a0",
    "\ufeff",
    " \ufeff\u2003",
    "x" * 11,
    "a\nb",
    "\0",
    "a\x1b",
    "\x7f",
    "\x85",
    "\ud800",
    "\udfff!",
]


@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], {}, ["a"], *BAD_TEXTS], ids=ascii)
def test_text_that_is_refused(value: object) -> None:
    """Any other value is refused: another type, too long, blank, or with control characters or lone surrogates."""
    with pytest.raises(HTTPError) as caught:
        fields.text({"name": value}, "name", 10)

    assert refused(caught.value, "name")["allowed"].startswith("a text")


def test_text_that_is_missing() -> None:
    """A missing field is named in the 422."""
    with pytest.raises(HTTPError) as caught:
        fields.text({}, "name", 10)

    assert refused(caught.value, "name")["value"] == "None"


def test_long_value_is_shortened() -> None:
    """The answer does not grow with the refused value."""
    with pytest.raises(HTTPError) as caught:
        fields.text({"name": "x" * 1_000_000}, "name", 10)

    assert refused(caught.value, "name")["value"] == "'" + "x" * 76 + "..."


@pytest.mark.parametrize("data", [None, 1, "a", [], [{}], True])
def test_no_object(data: object) -> None:
    """A body that is no object is a 422 for the body."""
    with pytest.raises(HTTPError) as caught:
        fields.json_object(data)

    assert refused(caught.value, "body")["allowed"] == "a JSON object"


def test_object() -> None:
    """An object is returned unchanged."""
    assert fields.json_object({"a": 1}) == {"a": 1}


@given(ANY_JSON)
def test_any_value(value: Any) -> None:
    """Any JSON value is a valid text or a 422 that can be written."""
    try:
        text = fields.text({"name": value}, "name", 10)
    except HTTPError as error:
        refused(error, "name")
    else:
        assert text == value
        text.encode()


@given(ANY_JSON)
def test_any_body(value: Any) -> None:
    """Any JSON body has a valid text or is a 422 that can be written."""
    try:
        fields.text(fields.json_object(value), "name", 10)
    except HTTPError as error:
        refused(error, "name" if isinstance(value, dict) else "body")


@pytest.mark.parametrize("shape", ["%s", '{"name":%s}', '{"name":[{"a":%s}]}'])
def test_any_depth(shape: str) -> None:
    """A value nested at any depth is refused with a 4xx: no depth can be read and then not be shown in the error."""
    statuses = set()
    for depth in [*range(1, 1_100), 5_000, 20_000, 100_000]:
        body = (shape % ("[" * depth + "]" * depth)).encode()
        try:
            fields.text(fields.json_object(parse_json(b"application/json", body)), "name", 10)
        except HTTPError as error:
            statuses.add(error.status)

    assert statuses == {400, 422}


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("007", 7), ("100", 100)])
def test_integer(text: str, number: int) -> None:
    """A whole number within the bounds is accepted."""
    assert fields.integer({"n": text}, "n", 5, 0, 100) == number


def test_integer_by_default() -> None:
    """A missing field has the default."""
    assert fields.integer({}, "n", 5, 0, 100) == 5


BAD_NUMBERS = ["", "-1", "101", "1.0", "1e1", "+1", " 1", "1_0", "\u0661", "\u00b2", "x", "\0", "9" * 19, "9" * 5_000]


@pytest.mark.parametrize("text", BAD_NUMBERS, ids=lambda text: ascii(text[:20]))
def test_integer_that_is_refused(text: str) -> None:
    """Any other text is a 422, even if Python would read it as a number, and however long it is."""
    with pytest.raises(HTTPError) as caught:
        fields.integer({"n": text}, "n", 5, 0, 100)

    assert refused(caught.value, "n")["allowed"] == "a whole number from 0 to 100"


@given(ANYTHING)
def test_any_integer(text: str) -> None:
    """Any text is a number within the bounds or a 422."""
    try:
        assert 0 <= fields.integer({"n": text}, "n", 5, 0, 100) <= 100
    except HTTPError as error:
        refused(error, "n")


def digits(text: str) -> int:
    if not text.isdigit():
        raise BadCursor(text)
    return int(text)


@pytest.mark.parametrize(("text", "found"), [("7", "7"), ("", None), (None, None)])
def test_message_id(text: str | None, found: str | None) -> None:
    """An id in the bus's form is accepted; none, or an empty one, is None."""
    assert fields.message_id(digits, text) == found


@pytest.mark.parametrize("text", ["x", "x" * 1_000, "\u00ff"], ids=["x", "long", "latin-1"])
def test_message_id_that_is_refused(text: str) -> None:
    """Any other id is a 400 that quotes only a part of it."""
    with pytest.raises(HTTPError) as caught:
        fields.message_id(digits, text)

    assert caught.value.status == 400
    assert len(caught.value.detail) < 100

"""JSON is read and written as the standard library does it, to the digit, whichever library does the work."""

import json
from typing import Any, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.asgi.codec import decode_json, encode_json, json_text

EDGES = [sign * 2**power + step for sign in (1, -1) for power in (53, 63, 64, 65) for step in (-1, 0, 1)]


def no_constant(name: str) -> NoReturn:
    raise ValueError(name)


NUMBERS = [*EDGES, 10**18, 10**19, 10**30, -(10**30), 10**400]
SHAPES = ["%d", "[%d]", '{"a":%d}', '{"a":[1,%d,null]}', '{"padding":"................","a":%d}']


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: f"{number.bit_length()} bits")
@pytest.mark.parametrize("shape", SHAPES)
def test_integers_keep_their_digits(shape: str, number: int) -> None:
    """An integer of any size is read and written as itself."""
    text = shape % number
    value = decode_json(text.encode())

    assert value == json.loads(text)
    assert encode_json(value) == text.encode()


@pytest.mark.parametrize("text", ['"\\ud800"', '{"\\udfff":1}', '["\\ud83d x"]', '"\\ude00\\ud83d"'])
def test_lone_surrogates_are_read(text: str) -> None:
    """Lone surrogates are valid by JSON's grammar; the check of the field refuses them later, by the field's name."""
    assert decode_json(text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        [float("inf")],
        {"a": None, "b": float("nan")},
        [None, [-float("inf")]],
        {"a": [float("nan"), 2**70]},
    ],
    ids=repr,
)
def test_no_nan_goes_out(value: Any) -> None:
    """NaN and infinity, which JSON lacks, raise ValueError, beside null and big integers too."""
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_json(value)


@pytest.mark.parametrize("value", [object(), {1, 2}, [b"x"], {(1, 2): 3}], ids=["object", "set", "bytes", "key"])
def test_no_strange_type_goes_out(value: Any) -> None:
    """A type that JSON lacks raises TypeError."""
    with pytest.raises(TypeError):
        encode_json(value)


@pytest.mark.parametrize("depth", [10, 150, 250, 300, 900])
def test_depth_that_is_read_can_be_written(depth: int) -> None:
    """A nested value that can be read can be written: neither library's depth limit is below the other's."""
    text = b"[" * depth + b"]" * depth

    assert encode_json(decode_json(text)) == text


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(ANY_JSON)
def test_the_same_values_as_the_standard_library(value: Any) -> None:
    """The standard library reads our JSON as the same value, and we read its JSON as the same value."""
    assert json.loads(encode_json(value)) == value
    assert json_text(value) == encode_json(value).decode()
    assert decode_json(json.dumps(value).encode()) == value


@given(st.text('[]{},:"\\u0129deE+-.ntfNaIy ').map(str.encode) | st.binary())
def test_the_same_texts_as_the_standard_library(text: bytes) -> None:
    """Both libraries refuse the same texts, and read every other text as the same value."""
    try:
        expected = json.loads(text.decode(), parse_constant=no_constant)
    except (ValueError, RecursionError):
        with pytest.raises((ValueError, RecursionError)):
            decode_json(text)
    else:
        assert repr(decode_json(text)) == repr(expected)

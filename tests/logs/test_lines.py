"""The line of any record is ASCII, strict JSON, and of bounded length."""

import json
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.logs import handler
from slipway.logs.lines import MAX_LINE, quoted, record, text
from tests.harness.talking import strict

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates included
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=20) | ANY_TEXT | st.complex_numbers()
)
KEYS = ANY_TEXT | st.integers() | st.tuples(st.integers())
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


class Broken:
    """An object whose repr raises."""

    def __repr__(self) -> str:
        raise RuntimeError("on purpose")


@given(message=ANY_TEXT, name=ANY_TEXT, value=VALUES)
def test_any_value(message: str, name: str, value: Any) -> None:
    """Any text, key and value give one line that a strict reader parses."""
    line = text({"message": message, "value": value, name: value})

    assert line.isascii()
    assert "\n" not in line
    assert set(strict(line.encode())) >= {"message", "value"}


@given(message=ANY_TEXT)
def test_text_comes_back(message: str) -> None:
    """A text is read back unchanged, but for its lone surrogates."""
    expected = "".join(f"\\u{ord(c):04x}" if "\ud800" <= c <= "\udfff" else c for c in message)

    assert strict(record("INFO", "test", message))["message"] == expected


@given(value=ANY_TEXT)
def test_quoted(value: str) -> None:
    """A text quoted alone has the same form as in a record."""
    assert json.loads(quoted(value)) == strict(record("INFO", "test", value))["message"]
    assert quoted(value).isascii()


def test_quoted_is_cut() -> None:
    """A path of a megabyte is cut to the bound of any path."""
    assert len(quoted("\U0001f600" * 1_000_000, 500)) < 7_000
    assert quoted("a" * 10_000, 500).startswith('"aaa')


def cycle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


ODD: dict[str, Callable[[], Any]] = {
    "cycle": cycle,
    "deep": deep,
    "broken": Broken,
    "broken in a dict": lambda: {Broken(): Broken()},
    "int": lambda: 10**5_000,
    "nan": lambda: float("nan"),
    "infinite": lambda: [float("-inf")],
    "tuple as a key": lambda: {(1,): 1},
    "class": lambda: object,
    "datetime": lambda: datetime.min,
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_odd_values(make: Callable[[], Any]) -> None:
    """A value without a JSON form, or without an end, costs only that value."""
    parsed = strict(record("INFO", "test", "kept", value=make()))

    assert (parsed["message"], parsed["level"]) == ("kept", "INFO")
    assert "value" in parsed


@pytest.mark.parametrize("character", ["x", "\0", "\xff", "\udcff", "\U0001f600"])
@pytest.mark.parametrize(
    "shape",
    [
        lambda long: {"message": long},
        lambda long: {"message": "m", long: 1},
        lambda long: {"message": "m", "list": [long] * 10},
        lambda long: {"message": "m", **{f"{long[:500]}{n}": long[:500] for n in range(2_000)}},
    ],
    ids=["message", "name", "list", "many"],
)
def test_too_long(character: str, shape: Any) -> None:
    """A text of a megabyte anywhere is cut to a line of 64 KiB with a mark, and the standard fields stay."""
    fields = {"level": "INFO", "logger": "test", "pid": 1, "time": datetime.min, **shape(character * 1_000_000)}
    line = text(fields)

    assert len(line) <= MAX_LINE
    parsed = strict(line.encode())
    assert parsed["cut"] is True
    assert set(parsed) >= {"level", "logger", "pid", "time", "message"}


@pytest.mark.parametrize(
    ("message", "args"),
    [("%d", ("x",)), ("%s", (Broken(),)), ("%(a)s", ()), ("%s %s", (1,)), ("%", (1,)), (Broken(), ()), (b"\xff", ())],
)
def test_records_that_can_not_be_formatted(monkeypatch: pytest.MonkeyPatch, message: Any, args: tuple[Any]) -> None:
    """Wrong arguments are logged, not raised, and nothing goes to stderr."""
    lines: list[bytes] = []
    monkeypatch.setattr(handler, "write", lines.append)
    ours = handler.Handler()
    ours.setFormatter(handler.Formatter("%(levelname)s %(message)s", json_serializer=text, timestamp="time"))
    ours.handle(logging.LogRecord("test", logging.ERROR, "", 1, message, args, None))

    (line,) = lines
    assert json.loads(line)["level"] == "ERROR"

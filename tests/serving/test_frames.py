"""Frames made once for many clients are the same as those that the parser makes for each."""

import pytest
from websockets.frames import Frame, Opcode

from slipway.serving.frames import LastFrame, text_frame

TEXTS = ["", "a", "ü" * 62 + "a", "a" * 125, "a" * 126, "ü" * 200, "a" * 65_535, "a" * 65_536, "\U0001f600" * 20_000]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: f"{len(text.encode())} bytes")
def test_frame(text: str) -> None:
    """At each boundary of the length's encoding the frame is that of the library."""
    assert text_frame(text) == Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


def test_one_text_is_encoded_once() -> None:
    """The same string object gives the same frame object; any other string, even an equal one, gets its own frame."""
    last = LastFrame()
    text, equal = "".join(["ab", "c"]), "".join(["a", "bc"])
    first = last.of(text)

    assert last.of(text) is first
    assert last.of(equal) == first
    assert last.of("d") == text_frame("d")
    assert last.of(text) == first

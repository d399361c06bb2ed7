"""Frames of text messages, made once for all the clients that get the same text."""

import struct

TEXT = 0x81  # the whole message in one frame: RFC 6455 section 5.2
SHORT, LONG = 126, 65_536  # payload bytes from which the length field has 2 more bytes, then 8


def text_frame(text: str) -> bytes:
    """Return the frame of a text as a server sends it: without a mask."""
    payload = text.encode()
    size = len(payload)
    if size < SHORT:
        return struct.pack("!BB", TEXT, size) + payload
    if size < LONG:
        return struct.pack("!BBH", TEXT, 126, size) + payload
    return struct.pack("!BBQ", TEXT, 127, size) + payload


class LastFrame:
    """Caches the newest frame by its str object: a fan-out sends one text to all clients before the next."""

    __slots__ = ("_frame", "_text")

    def __init__(self) -> None:
        self._text = ""
        self._frame = text_frame("")

    def of(self, text: str) -> bytes:
        """Return the frame of a text."""
        if text is not self._text:
            self._text, self._frame = text, text_frame(text)
        return self._frame

"""The requirements of RFC 9113 and RFC 7541 on a server, case by case, and how an answer is judged."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.live.http2_frames import (
    ACK,
    CANCEL,
    COMPRESSION,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FLOW,
    GOAWAY,
    HEADERS,
    MARK,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PROTOCOL,
    PUSH_PROMISE,
    REQUEST,
    RST_STREAM,
    SETTINGS,
    SIZE,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    Seen,
    block,
    frame,
    number,
    request,
    setting,
)  # fmt: skip

Judge = Callable[[Seen], bool]
OPEN = request(flags=END_HEADERS, fields=POST)  # a stream that still needs its body
GET = request()
HEAD = block(*REQUEST)


@dataclass(frozen=True)
class Case:
    """The bytes sent after the preface, and the judgement of the result."""

    data: bytes
    right: Judge
    streams: tuple[int, ...] = ()
    """The streams that must have ended before it is judged."""
    preface: bytes = field(default=PREFACE + setting())


def ends(*codes: int) -> Judge:
    """Expect the end of the connection, with one of these codes if a code is sent (section 5.4.1)."""
    return lambda seen: seen.closed and seen.goaway in (None, *codes)


def resets(*codes: int) -> Judge:
    """Expect the end of the stream with one of these codes, or of the whole connection (section 5.4.2)."""
    return lambda seen: seen.resets.get(1) in codes or ends(*codes)(seen)


def refuses(*codes: int) -> Judge:
    """Expect a refusal of a malformed request (section 8.1.1), where a 400 may come before the end of the stream."""
    return lambda seen: seen.statuses.get(1) == 400 or resets(*codes)(seen)


def answers(*statuses: int) -> Judge:
    """Expect an answer with one of these statuses, and that the connection stays open."""
    return lambda seen: seen.statuses.get(1) in statuses and not seen.closed and seen.goaway is None


def goes_on(seen: Seen) -> bool:
    """Return whether the connection is open and the mark has come back."""
    return not seen.closed and seen.goaway is None and seen.pings[-1:] == [MARK]


def malformed(*fields: tuple[str, str]) -> Case:
    return Case(request(fields=fields), refuses(PROTOCOL), (1,))


def announced(size: int, flags: int = END_HEADERS) -> bytes:
    """Return the head of a request that announces a body of this size."""
    return request(flags=flags, fields=POST, more=(("content-length", str(size)),))


def packed(payload: bytes) -> Case:
    """Return a case with a block of fields that can't be decoded (RFC 7541)."""
    return Case(frame(HEADERS, END_STREAM | END_HEADERS, 1, payload), ends(COMPRESSION), (1,))


PREFACES = {
    "3.4 no preface": Case(b"", ends(PROTOCOL), preface=b"INVALID CONNECTION PREFACE\r\n\r\n"),
    "3.4 a wrong preface": Case(b"", ends(PROTOCOL), preface=PREFACE.replace(b"SM", b"MS")),
    "3.4 settings are acknowledged": Case(b"", lambda seen: goes_on(seen) and seen.settings_acked == 1),
}
FRAMES = {
    "4.1 a frame of an unknown type": Case(frame(0x77, 0, 0, bytes(8)), goes_on),
    "4.1 an unknown type on a stream": Case(OPEN + frame(0x77, 0, 1, bytes(8)) + frame(DATA, 1, 1), answers(200), (1,)),
    "4.1 flags that mean nothing": Case(frame(PING, 0xFE, 0, bytes(8)), goes_on),
    "4.1 the reserved bit": Case(frame(PING, 0, 1 << 31, bytes(8)), goes_on),
    "4.2 a large frame": Case(OPEN + frame(DATA, END_STREAM, 1, bytes(16_384)), answers(200), (1,)),
    "4.2 a larger one, as announced": Case(OPEN + frame(DATA, END_STREAM, 1, bytes(60_000)), answers(200), (1,)),
    "4.3 a priority within a head": Case(request(flags=1) + frame(PRIORITY, 0, 1, bytes(5)), ends(PROTOCOL)),
    "4.3 another stream within a head": Case(request(flags=1) + request(3), ends(PROTOCOL)),
    "4.3 a ping within a head": Case(request(flags=1) + frame(PING, 0, 0, bytes(8)), ends(PROTOCOL)),
    "4.3 an unknown type within a head": Case(request(flags=1) + frame(0x77, 0, 1, bytes(8)), ends(PROTOCOL)),
    "6.1 data without a stream": Case(frame(DATA, 0, 0, b"a"), ends(PROTOCOL)),
    "6.1 padding": Case(OPEN + frame(DATA, END_STREAM | PADDED, 1, b"\2abc\0\0"), answers(200), (1,)),
    "6.1 padding longer than the frame": Case(OPEN + frame(DATA, 9, 1, b"\6abc\0\0"), ends(PROTOCOL)),
    "6.1 padding as long as the frame": Case(OPEN + frame(DATA, 9, 1, b"\5abcde"[:5]), ends(PROTOCOL)),
    "6.2 headers without a stream": Case(request(0), ends(PROTOCOL)),
    "6.2 padded headers": Case(frame(HEADERS, 5 | PADDED, 1, b"\3" + HEAD + bytes(3)), answers(200), (1,)),
    "6.2 padding longer than the head": Case(frame(HEADERS, 5 | PADDED, 1, b"\xff" + HEAD), ends(PROTOCOL)),
    "6.2 headers with a priority": Case(frame(HEADERS, 5 | WITH_PRIORITY, 1, bytes(5) + HEAD), answers(200), (1,)),
    "6.3 a priority without a stream": Case(frame(PRIORITY, 0, 0, bytes(5)), ends(PROTOCOL)),
    "6.3 a priority on an idle stream": Case(frame(PRIORITY, 0, 1, bytes(5)) + GET, answers(200), (1,)),
    "6.3 a short priority": Case(OPEN + frame(PRIORITY, 0, 1, bytes(4)), resets(SIZE), (1,)),
    "6.3 a long priority": Case(OPEN + frame(PRIORITY, 0, 1, bytes(6)), resets(SIZE), (1,)),
    "6.4 a reset without a stream": Case(frame(RST_STREAM, 0, 0, number(CANCEL)), ends(PROTOCOL)),
    "6.4 a reset on an idle stream": Case(frame(RST_STREAM, 0, 1, number(CANCEL)), ends(PROTOCOL)),
    "6.4 a short reset": Case(OPEN + frame(RST_STREAM, 0, 1, bytes(3)), ends(SIZE)),
    "6.4 a long reset": Case(OPEN + frame(RST_STREAM, 0, 1, bytes(5)), ends(SIZE)),
    "6.4 a reset": Case(OPEN + frame(RST_STREAM, 0, 1, number(CANCEL)), goes_on),
    "6.5 settings on a stream": Case(frame(SETTINGS, 0, 1), ends(PROTOCOL)),
    "6.5 settings of another length": Case(frame(SETTINGS, 0, 0, bytes(5)), ends(SIZE)),
    "6.5 an acknowledgement with settings": Case(frame(SETTINGS, ACK, 0, bytes(6)), ends(SIZE)),
    "6.5.2 push that is neither on nor off": Case(setting((2, 2)), ends(PROTOCOL)),
    "6.5.2 a window that is too large": Case(setting((4, 1 << 31)), ends(FLOW)),
    "6.5.2 the largest window": Case(setting((4, (1 << 31) - 1)) + GET, answers(200), (1,)),
    "6.5.2 frames that are too small": Case(setting((5, 16_383)), ends(PROTOCOL)),
    "6.5.2 frames that are too large": Case(setting((5, 1 << 24)), ends(PROTOCOL)),
    "6.5.2 a setting that is unknown": Case(setting((0xFF, 1)), goes_on),
    "6.5.3 each is acknowledged": Case(setting() * 3, lambda seen: goes_on(seen) and seen.settings_acked == 4),
    "6.5.3 the last value counts": Case(setting((4, 0), (4, 65_535)) + GET, answers(200), (1,)),
    "6.6 a push from a client": Case(frame(PUSH_PROMISE, 4, 1, number(2) + HEAD), ends(PROTOCOL)),
    "6.7 a ping": Case(frame(PING, 0, 0, b"01234567"), lambda seen: seen.pings == [b"01234567", MARK]),
    "6.7 an answer to no ping": Case(frame(PING, ACK, 0, b"01234567"), lambda seen: seen.pings == [MARK]),
    "6.7 a ping on a stream": Case(frame(PING, 0, 1, bytes(8)), ends(PROTOCOL)),
    "6.7 a short ping": Case(frame(PING, 0, 0, bytes(6)), ends(SIZE)),
    "6.7 a long ping": Case(frame(PING, 0, 0, bytes(9)), ends(SIZE)),
    "6.8 a farewell on a stream": Case(frame(GOAWAY, 0, 1, bytes(8)), ends(PROTOCOL)),
    "6.9 no more window": Case(frame(WINDOW_UPDATE, 0, 0, number(0)), ends(PROTOCOL)),
    "6.9 no more window of a stream": Case(OPEN + frame(WINDOW_UPDATE, 0, 1, number(0)), resets(PROTOCOL), (1,)),
    "6.9 a short window": Case(frame(WINDOW_UPDATE, 0, 0, bytes(3)), ends(SIZE)),
    "6.9 a long window": Case(frame(WINDOW_UPDATE, 0, 0, bytes(5)), ends(SIZE)),
    "6.9.1 a window above the limit": Case(frame(WINDOW_UPDATE, 0, 0, number((1 << 31) - 1)) * 2, ends(FLOW)),
    "6.9.1 a stream's window above it": Case(
        OPEN + frame(WINDOW_UPDATE, 0, 1, number((1 << 31) - 1)) * 2, resets(FLOW), (1,)
    ),
    "6.9.2 a window that opens": Case(setting((4, 1)) + GET + setting((4, 65_535)), answers(200), (1,)),
    "6.9.2 a window below nothing": Case(
        setting((4, 3)) + GET + setting((4, 2)) + frame(WINDOW_UPDATE, 0, 1, number(65_000)), answers(200), (1,)
    ),
    "6.10 the rest of a head": Case(
        frame(HEADERS, 1, 1, HEAD[:3]) + frame(CONTINUATION, 0, 1, HEAD[3:9]) + frame(CONTINUATION, 4, 1, HEAD[9:]),
        answers(200), (1,),
    ),
    "6.10 a rest without a stream": Case(request(flags=1) + frame(CONTINUATION, 4, 0, b""), ends(PROTOCOL)),
    "6.10 a rest of nothing": Case(frame(CONTINUATION, 4, 1, HEAD), ends(PROTOCOL)),
    "6.10 a rest after the whole": Case(OPEN + frame(CONTINUATION, 4, 1, HEAD), ends(PROTOCOL)),
    "6.10 a rest after data": Case(OPEN + frame(DATA, 0, 1, b"a") + frame(CONTINUATION, 4, 1, HEAD), ends(PROTOCOL)),
    "6.10 data within a head": Case(request(flags=1) + frame(DATA, 1, 1, b"a"), ends(PROTOCOL)),
}  # fmt: skip

"""Cases of streams and messages (RFC 9113) and of compressed fields (RFC 7541), and where nginx departs from them."""

from tests.live.http2_cases import (
    FRAMES,
    GET,
    HEAD,
    OPEN,
    PREFACES,
    Case,
    announced,
    answers,
    ends,
    goes_on,
    malformed,
    packed,
    refuses,
    resets,
)
from tests.live.http2_frames import (
    CANCEL,
    CLOSED,
    CONTINUATION,
    DATA,
    END_HEADERS,
    POST,
    PRIORITY,
    PROTOCOL,
    REFUSED,
    REQUEST,
    RST_STREAM,
    SIZE,
    WINDOW_UPDATE,
    frame,
    number,
    request,
)

STREAMS = {
    "5.1 data on an idle stream": Case(frame(DATA, 1, 1, b"a"), ends(PROTOCOL, CLOSED)),
    "5.1 a window on an idle stream": Case(frame(WINDOW_UPDATE, 0, 1, number(1)), ends(PROTOCOL)),
    "5.1 data after the end": Case(GET + frame(DATA, 1, 1, b"a"), resets(CLOSED, PROTOCOL), (1,)),
    "5.1 headers after the end": Case(GET + request(), resets(CLOSED, PROTOCOL), (1,)),
    "5.1 a rest after the end": Case(GET + frame(CONTINUATION, 4, 1, HEAD), ends(CLOSED, PROTOCOL)),
    "5.1 data after a reset": Case(
        OPEN + frame(RST_STREAM, 0, 1, number(CANCEL)) + frame(DATA, 1, 1, b"a"), resets(CLOSED)
    ),
    "5.1 headers after a reset": Case(
        OPEN + frame(RST_STREAM, 0, 1, number(CANCEL)) + request(), resets(CLOSED, PROTOCOL), (1,)
    ),
    "5.1 a window after a reset": Case(
        OPEN + frame(RST_STREAM, 0, 1, number(CANCEL)) + frame(WINDOW_UPDATE, 0, 1, number(1)), goes_on
    ),
    "5.1 a priority after a reset": Case(
        OPEN + frame(RST_STREAM, 0, 1, number(CANCEL)) + frame(PRIORITY, 0, 1, bytes(5)), goes_on
    ),
    "5.1.1 an even number": Case(request(2), ends(PROTOCOL)),
    "5.1.1 a smaller number": Case(request(5) + request(3), ends(PROTOCOL)),
    "5.1.1 the same number": Case(request(3) + request(3), ends(PROTOCOL, CLOSED)),
    "5.1.1 numbers that are left out": Case(request(1) + request(101), answers(200), (1, 101)),
    "5.1.2 too many streams": Case(
        b"".join(request(stream, END_HEADERS, POST) for stream in range(1, 600, 2)),
        lambda seen: ({*seen.resets.values()} <= {REFUSED, PROTOCOL} and bool(seen.resets)) or ends(PROTOCOL)(seen),
    ),
    "5.3 a stream that depends on itself": Case(
        OPEN + frame(PRIORITY, 0, 1, number(1) + b"\0"), lambda seen: goes_on(seen) or resets(PROTOCOL)(seen)
    ),
}  # fmt: skip
METHOD, SCHEME, PATH, AUTHORITY = REQUEST
MESSAGES = {
    "8.1 a request": Case(GET, answers(200), (1,)),
    "8.1 many at once": Case(b"".join(request(stream) for stream in range(1, 40, 2)), answers(200), (1, 37, 39)),
    "8.1 a request with a body": Case(OPEN + frame(DATA, 0, 1, b"a") + frame(DATA, 1, 1, b"b"), answers(200), (1,)),
    "8.1 trailers": Case(OPEN + frame(DATA, 0, 1, b"a") + request(fields=(("x", "a"),)), answers(200), (1,)),
    "8.1 trailers that are no end": Case(OPEN + request(flags=4, fields=(("x", "a"),)), refuses(PROTOCOL), (1,)),
    "8.1 a pseudo field in trailers": Case(OPEN + request(fields=((":path", "/"),)), refuses(PROTOCOL), (1,)),
    "8.1.1 more bytes than announced": Case(
        announced(1) + frame(DATA, 1, 1, b"ab"), refuses(PROTOCOL), (1,)
    ),
    "8.1.1 fewer bytes than announced": Case(
        announced(9) + frame(DATA, 1, 1, b"ab"), refuses(PROTOCOL), (1,)
    ),
    "8.1.1 more bytes in several frames": Case(
        announced(1) + frame(DATA, 0, 1, b"a") + frame(DATA, 1, 1, b"b"),
        refuses(PROTOCOL), (1,),
    ),
    "8.1.1 no body where one is announced": Case(announced(1, flags=5), refuses(PROTOCOL), (1,)),
    "8.2.1 a name in upper case": malformed(*REQUEST, ("X-Test", "ok")),
    "8.2.1 a name with a blank": malformed(*REQUEST, ("x test", "ok")),
    "8.2.1 a value with a line break": malformed(*REQUEST, ("x", "a\r\nb: c")),
    "8.2.1 a value with NUL": malformed(*REQUEST, ("x", "a\0b")),
    "8.3 an unknown pseudo field": malformed(*REQUEST, (":test", "ok")),
    "8.3 a pseudo field of answers": malformed(*REQUEST, (":status", "200")),
    "8.3 a pseudo field behind a field": malformed(METHOD, SCHEME, PATH, ("x", "a"), AUTHORITY),
    "8.3.1 an empty path": malformed(METHOD, SCHEME, (":path", ""), AUTHORITY),
    "8.3.1 no method": malformed(SCHEME, PATH, AUTHORITY),
    "8.3.1 no scheme": malformed(METHOD, PATH, AUTHORITY),
    "8.3.1 no path": malformed(METHOD, SCHEME, AUTHORITY),
    "8.3.1 two methods": malformed(METHOD, *REQUEST),
    "8.3.1 two schemes": malformed(METHOD, SCHEME, *REQUEST[1:]),
    "8.3.1 two paths": malformed(METHOD, SCHEME, PATH, PATH, AUTHORITY),
}  # fmt: skip
# Names start with the section of RFC 7541.
COMPRESSIONS = {
    "2.3.3 an index above the tables": packed(HEAD + b"\xff\x80\x01"),
    "4.2 a table above the limit": packed(b"\x3f\xe1\x7f\x03" + HEAD),
    "4.2 a size behind a field": packed(HEAD + b"\x20"),
    "5.2 padding of zeros": packed(HEAD + b"\x00\x01x\x81\x18"),
    "5.2 padding of more than 7 bits": packed(HEAD + b"\x00\x01x\x82\x1f\xff"),
    "5.2 the end of strings in one": packed(HEAD + b"\x00\x01x\x84\xff\xff\xff\xff"),
    "6.1 index 0": packed(HEAD + b"\x80"),
    "6.2 a name that is cut off": packed(HEAD + b"\x40\x05x"),
    "5.1 a number that is too large": packed(HEAD + b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
}  # fmt: skip
# Where nginx departs, in every version; none of these cases reaches the app or another client.
DEPARTURES = {
    "5.1 data after a reset": goes_on,
    "HPACK 5.2 padding of more than 7 bits": answers(200),
    "6.4 a reset on an idle stream": goes_on,
    "5.1 data on an idle stream": goes_on,
    "5.1 a window on an idle stream": goes_on,
    "8.1 trailers": ends(PROTOCOL),  # not supported; over HTTP/1.1 they are dropped, too
    "8.3 a pseudo field behind a field": answers(200),
    "HPACK 4.2 a size behind a field": answers(200),
    "HPACK 6.2 a name that is cut off": ends(SIZE),
}
CASES = PREFACES | FRAMES | STREAMS | MESSAGES | {f"HPACK {name}": case for name, case in COMPRESSIONS.items()}

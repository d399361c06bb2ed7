"""A response's head: the bytes written for the headers, and the framing of the body that they declare."""

import pytest

from slipway.serving.response_head import MOST_NAMES, parts

LENGTH, CHUNKED, CLOSE = (b"Content-Length", b"5"), (b"Transfer-Encoding", b"chunked"), (b"Connection", b"close")
KEEPS, ENDS = True, False


@pytest.mark.parametrize(
    ("status", "headers", "options", "written", "length", "keeps"),
    [
        (200, [LENGTH], {}, b"content-length: 5\r\n", 5, KEEPS),
        (200, [], {}, b"transfer-encoding: chunked\r\n", None, KEEPS),
        (200, [CHUNKED], {}, b"transfer-encoding: chunked\r\n", None, KEEPS),
        (200, [LENGTH, CHUNKED], {}, b"content-length: 5\r\ntransfer-encoding: chunked\r\n", None, KEEPS),
        (200, [LENGTH, (b"content-length", b"6")], {}, b"content-length: 5\r\ncontent-length: 6\r\n", 5, KEEPS),
        (200, [LENGTH, CLOSE], {}, b"content-length: 5\r\nconnection: close\r\n", 5, ENDS),
        (200, [LENGTH, (b"connection", b"x, CLOSE")], {}, b"content-length: 5\r\nconnection: x, CLOSE\r\n", 5, ENDS),
        (200, [LENGTH], {"keep_alive": False}, b"content-length: 5\r\nconnection: close\r\n", 5, ENDS),
        (200, [LENGTH, CLOSE], {"keep_alive": False}, b"content-length: 5\r\nconnection: close\r\n", 5, ENDS),
        (204, [(b"X-Y", b"a\tb \xe4")], {"has_body": False}, b"x-y: a\tb \xe4\r\n", 0, KEEPS),
    ],
)
def test_head(
    status: int,
    headers: list[tuple[bytes, bytes]],
    options: dict[str, bool],
    written: bytes,
    length: int | None,
    keeps: bool,
) -> None:
    """Names are in lower case, values are unchanged, and a body without a length is chunked (RFC 9112 section 6.3)."""
    found, found_length, found_keeps = parts(status, headers, **{"keep_alive": True, "has_body": True} | options)
    first, _, rest = b"".join(found).partition(b"\r\n")

    assert first.startswith(b"HTTP/1.1 %d " % status)
    assert rest == written + b"\r\n"
    assert (found_length, found_keeps) == (length, keeps)


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\nb", b"\xe4", b"a\0", b"(a)"])
def test_name_that_is_none(name: bytes) -> None:
    """A name that is no token (RFC 9110 section 5.1) is refused."""
    with pytest.raises(RuntimeError, match="name"):
        parts(200, [(name, b"x")], keep_alive=True, has_body=True)


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"\n", b"\0", b"a\x7f", b"\x1b[0m"])
def test_value_with_a_control_character(value: bytes) -> None:
    """A value with a control character, which could end its field, is refused."""
    with pytest.raises(RuntimeError, match="value"):
        parts(200, [(b"a", value)], keep_alive=True, has_body=True)


def test_names_that_are_known_are_bounded() -> None:
    """The memory for known names is bounded, also for an app that invents names."""
    from slipway.serving import response_head

    for number in range(3 * MOST_NAMES):
        parts(200, [(b"x-%d" % number, b"")], keep_alive=True, has_body=True)

    assert len(response_head._names) <= MOST_NAMES

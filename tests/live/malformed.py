"""Raw requests, each of which is wrong in one way. The bytes behind some of them would be a request to a parser that
lost count: the app must never see it.
"""

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
HOST = b"Host: localhost\r\n"


def line(data: bytes, fields: bytes = HOST) -> bytes:
    """Return a request with this first line."""
    return data + b"\r\n" + fields + b"\r\n"


def field(data: bytes, end: bytes = b"\r\n") -> bytes:
    """Return a GET with this field."""
    return b"GET /m HTTP/1.1\r\n" + HOST + data + end + b"\r\n"


def body(fields: bytes, data: bytes = b"") -> bytes:
    """Return a POST with these fields and this body, and a smuggled request behind it."""
    return b"POST /m HTTP/1.1\r\n" + HOST + fields + b"\r\n" + data + SMUGGLED


CHUNKED = b"Transfer-Encoding: chunked\r\n"
LENGTH = b"Content-Length: "

METHODS = [
    b"get", b"Get", b"G3T", b"G\x01T", b"G\xffT", b"G\x00T", b"G\tT", b"G:T", b"G\"T", b"", b"\xc3\x89", b"GET\x7f",
    b"GET,", b"PRI", b"HTTP/1.1", b"GETGETGET",
]  # fmt: skip
TARGETS = [
    b"", b"m", b"*", b"/m\x01", b"/m\x00", b"/m\x7f", b"/m n", b"/%zz", b"/%", b"/%1", b"/%00", b"/../m",
    b"/a/../../m", b"\\m", b"http:/x", b"http://", b"http:///m", b"http://a b/m", b"http://a\x01/m",
    b"http://[::1/m", b"ftp://localhost/m", b"?", b"#", b"HTTPS:", b"ws://localhost/m", b"/%u0041", b"/m%",
    b"/m\tn", b"http://user@localhost/m", b"localhost:80", b":80", b"/m\xff\xfe", b"/" + b"m" * 70_000,
]  # fmt: skip
VERSIONS = [
    b"", b"HTTP", b"HTTP/", b"HTTP/1", b"HTTP/1.", b"HTTP/.1", b"HTTP/x.y", b"http/1.1", b"HTTP/1.1 x",
    b"HTTP/1.1\x00", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9", b"HTTP/11", b"HTTP/1.10", b"HTTP/-1.1", b"SIP/2.0",
    b"HTTP /1.1", b"HTTP/1.1,", b"HTTP/1.1\t", b"HTTPS/1.1", b"\x00", b"HTTP/0.9",
]  # fmt: skip
FIELDS = [
    b"X : a", b" X: a", b"\tX: a", b": a", b"X", b"X a", b"X\x00: a", b"X: \x00", b"X: a\x00b", b"X\x01: a",
    b"X\x7f: a", b"X\xff: a", b"X\ra: b", b"X: a\rb", b"X: a\r\n b", b"X: a\r\n\tb", b"X: a\n b", b"X(: a",
    b"X,: a", b"X;: a", b"X/: a", b"X[: a", b"X{: a", b"X\": a", b"X: " + b"a" * 70_000, b"X" * 70_000 + b": a",
    HOST.strip(), b"Host: other", b"Host:", b"Host : other", b"host: other", b"X: a\r\nGET /smuggled HTTP/1.1",
    b"X: \x01", b"X: \x0b", b"X: \x7f",
]  # fmt: skip
HOSTS = [
    b"", b"Host: a/b\r\n", b"Host: a b\r\n", b"Host: a\x01b\r\n", b"Host: a\x00b\r\n", b"Host: a\\b\r\n",
    b"Host: a..b\r\n", b"Host: \r\n", b"Host: .\r\n", b"Host: [::1\r\n", b"Host: a?b\r\n", b"Host: a#b\r\n",
    b"Host: a@b\r\n", b"Host: a,b\r\n",
]  # fmt: skip
LENGTHS = [
    b"", b" ", b"x", b"-1", b"+1", b"0x1", b"1.0", b"1,1", b"1, 2", b"1 1", b"9" * 30, b"18446744073709551617",
    b"1;a", b"\x00", b"1\x00", b"1_0", b"\"1\"", b"1e1",
]  # fmt: skip
CODINGS = [
    b"gzip", b"identity", b"chunked, gzip", b"gzip, chunked", b"chunked, chunked", b"xchunked", b"chunked;a=b",
    b"\"chunked\"", b"chunked\x00", b"\x0bchunked", b"chun ked", b"chunked,", b",chunked", b"chunked, identity",
    b"",
]  # fmt: skip
CHUNKS = [
    b"zz\r\n", b"-1\r\na\r\n0\r\n\r\n", b"+1\r\na\r\n0\r\n\r\n", b"0x1\r\na\r\n0\r\n\r\n", b"1\r\nab\r\n0\r\n\r\n",
    b"1\r\na0\r\n\r\n", b"g\r\n", b"f" * 40 + b"\r\n", b"\r\n0\r\n\r\n", b"1 \x00\r\na\r\n0\r\n\r\n",
    b"1\ra\r\n0\r\n\r\n", b"\x001\r\na\r\n0\r\n\r\n", b" 1\r\na\r\n0\r\n\r\n", b"1 1\r\na\r\n0\r\n\r\n",
    b"1,\r\na\r\n0\r\n\r\n", b"1_\r\na\r\n0\r\n\r\n", b"ffffffffffffffff\r\na\r\n0\r\n\r\n",
    b"10000000000000000\r\na\r\n",
]  # fmt: skip
WHOLE = {
    "not HTTP": b"\x00\x01\x02\x03\xff\xfe\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 40 + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "SMTP": b"EHLO localhost\r\nMAIL FROM:<a@b>\r\n\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.0\r\n\r\n",
    "a PROXY preface": b"PROXY TCP4 6.6.6.6 10.0.0.1 4711 443\r\n" + field(b"X: a"),
    "a response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "length and chunks": body(LENGTH + b"5\r\n" + CHUNKED, b"0\r\n\r\n"),
    "chunks and length": body(CHUNKED + LENGTH + b"5\r\n", b"0\r\n\r\n"),
    "two lengths": body(LENGTH + b"5\r\n" + LENGTH + b"6\r\n", b"hello"),
    "the same length twice": body(LENGTH + b"5\r\n" + LENGTH + b"5\r\n", b"hello"),
    "two codings": body(CHUNKED + b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n"),
    "chunked twice": body(CHUNKED + CHUNKED, b"0\r\n\r\n"),
    "length with a space before the colon": body(b"Content-Length : 5\r\n", b"hello"),
    "coding with a space before the colon": body(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
    "folded coding": body(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"),
    "folded length": body(b"Content-Length:\r\n 5\r\n", b"hello"),
    "chunks in HTTP/1.0": b"POST /m HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n0\r\n\r\n" + SMUGGLED,
    "bare line feeds, a length behind one": b"POST /m HTTP/1.1\r\n" + HOST + b"X: a\n" + LENGTH + b"5\r\n\r\nhello",
    "a carriage return that hides a coding": body(
        b"X: a\rTransfer-Encoding: chunked\r\n" + LENGTH + b"5\r\n", b"hello"
    ),
}

TABLE: dict[str, bytes] = {
    **{f"method {text!r}": line(text + b" /m HTTP/1.1") for text in METHODS},
    **{f"target {text[:40]!r}": line(b"GET " + text + b" HTTP/1.1") for text in TARGETS},
    **{f"version {text!r}": line(b"GET /m " + text) for text in VERSIONS},
    **{f"field {text[:40]!r}": field(text) for text in FIELDS},
    **{f"host {text!r}": line(b"GET /m HTTP/1.1", text) for text in HOSTS},
    **{f"length {text!r}": body(LENGTH + text + b"\r\n") for text in LENGTHS},
    **{f"coding {text!r}": body(b"Transfer-Encoding: " + text + b"\r\n", b"0\r\n\r\n") for text in CODINGS},
    **{f"chunk {text[:40]!r}": body(CHUNKED, text) for text in CHUNKS},
    **WHOLE,
}

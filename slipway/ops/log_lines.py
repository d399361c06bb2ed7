"""Lines of nginx's log as JSON: the access log has it already, plain lines are converted. Standard library only."""

import json
import re
import time
from collections.abc import Iterator

PIPE_BUF = 4096  # bytes; up to this size a write to a pipe is atomic, and poll() tells whether it would block
MAX_MESSAGE = 1_900  # bytes; nginx cuts messages at 2,048, and an escaped one must stay below PIPE_BUF

# "2026/11/25 20:56:38 [error] 7#7: *1 message"; at its start also "nginx: [emerg] message"
ERROR = re.compile(r"(?:(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d)|nginx:) \[(\w+)\] (?:(\d+)#\d+: )?(.*)")
REQUEST, UPSTREAM = b', request: "', re.compile(rb', upstream: "[^?"]*')
LEVELS = {"debug": "DEBUG", "warn": "WARNING", "error": "ERROR"} | dict.fromkeys(("crit", "alert", "emerg"), "CRITICAL")


def without_query(line: bytes) -> bytes:
    """Return a line of the error log without the queries of its request, upstream and referrer."""
    head, mark, rest = line.partition(REQUEST)
    place = rest.find(b"?")
    if place < 0:
        return line
    upstream = UPSTREAM.search(rest, place)
    return head + mark + rest[:place] + b'"' + (upstream[0] + b'"' if upstream else b"")


def record(line: bytes) -> bytes:
    """Return a plain line as one line of JSON."""
    text = re.sub(rb"[^ -~]", b"?", without_query(line)[:MAX_MESSAGE]).decode()
    found = ERROR.fullmatch(text)
    no_clock = None, None, None, None
    year, month, day, clock, level, pid, message = found.groups() if found else (*no_clock, "", None, text)
    zone = time.strftime("%z")
    moment = f"{year}-{month}-{day}T{clock}" if year else time.strftime("%Y-%m-%dT%H:%M:%S")
    values = {
        "time": f"{moment}{zone[:3]}:{zone[3:]}",
        "level": LEVELS.get(level, "INFO"),
        "logger": "nginx",
        "pid": int(pid) if pid else None,
        "message": message,
    }
    return json.dumps(values).encode() + b"\n"


def wrapped(lines: bytes) -> bytes:
    """Return whole lines, each as JSON."""
    if lines.startswith(b"{") and lines.count(b"\n{") + 1 == lines.count(b"}\n") == lines.count(b"\n"):
        return lines  # only lines of the access log, the usual case
    return b"".join(
        line + b"\n" if line.startswith(b"{") and line.endswith(b"}") else record(line)
        for line in lines[:-1].split(b"\n")
    )


def pieces(lines: bytes) -> Iterator[bytes]:
    """Split whole lines into pieces of at most PIPE_BUF bytes, at line ends where possible."""
    while len(lines) > PIPE_BUF:
        end = lines.rfind(b"\n", 0, PIPE_BUF) + 1 or PIPE_BUF
        yield lines[:end]
        lines = lines[end:]
    yield lines

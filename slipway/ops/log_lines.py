"""Lines of nginx's log as JSON: those of the access log are, plain ones become so. Standard library only."""

import json
import re
import time
from collections.abc import Iterator

PIPE_BUF = 4096  # bytes; a write of so many is never cut, and poll() says whether it would block
MAX_MESSAGE = 1_900  # bytes; nginx cuts its own at 2,048, and escaped it must stay below PIPE_BUF

# "2026/11/25 20:56:38 [error] 7#7: *1 message"; at its start also "nginx: [emerg] message"
ERROR = re.compile(r"(?:(\d{4})/(\d\d)/(\d\d) (\d\d:\d\d:\d\d)|nginx:) \[(\w+)\] (?:(\d+)#\d+: )?(.*)")
REQUEST, UPSTREAM = b', request: "', re.compile(rb', upstream: "[^?"]*')
LEVELS = {"debug": "DEBUG", "warn": "WARNING", "error": "ERROR"} | dict.fromkeys(("crit", "alert", "emerg"), "CRITICAL")


def without_query(line: bytes) -> bytes:
    """A line of the error log without the query of the request that it names, and of the page that has led to it."""
    head, mark, rest = line.partition(REQUEST)
    place = rest.find(b"?")
    if place < 0:
        return line
    upstream = UPSTREAM.search(rest, place)
    return head + mark + rest[:place] + b'"' + (upstream[0] + b'"' if upstream else b"")


def record(line: bytes) -> bytes:
    """A plain line as a JSON object, one line."""
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
    """Whole lines, each of them JSON."""
    if lines.startswith(b"{") and lines.count(b"\n{") + 1 == lines.count(b"}\n") == lines.count(b"\n"):
        return lines  # the access log alone, as nearly always
    return b"".join(
        line + b"\n" if line.startswith(b"{") and line.endswith(b"}") else record(line)
        for line in lines[:-1].split(b"\n")
    )


def pieces(lines: bytes) -> Iterator[bytes]:
    """Whole lines by as many as one write takes."""
    while len(lines) > PIPE_BUF:
        end = lines.rfind(b"\n", 0, PIPE_BUF) + 1 or PIPE_BUF
        yield lines[:end]
        lines = lines[end:]
    yield lines

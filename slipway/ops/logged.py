"""Runs nginx so that its log is JSON, and so that no log can block it: `python logged.py nginx -p …`.

nginx's access log and error log go into one pipe, whose write end never blocks. Here it is always read: lines of the
access log pass as they are, plain ones become JSON objects, and what finds no room because the output is not read is
counted and dropped, which a record tells as soon as there is room. Should this process itself stand still, nginx drops.
Signals go to nginx, its exit code is ours, and everything that it has written until its end goes out before ours.

nginx binds no unix socket that a killed one has left; those that `--socket=PATH` names are removed before it starts.

nginx reads its files once. When the content of those that `--watch=PATTERN` names has changed, it is told to read
them anew; what is wrong in them it logs, and goes on with what it has.

Standard library only and by path, so that it starts in any folder. `nginx/logged.sh` does the same in the image.
"""

import ctypes
import fcntl
import glob
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH")
PIPE_BUF = 4096  # bytes; a write of so many is never cut, and poll() says whether it would block
PIPE_SIZE = 1 << 20  # bytes instead of 64 KiB, which full load fills in 10 ms: we may get the CPU later than that
MAX_KEPT = 1 << 20  # bytes that wait for an output that is not read; about a second of full load
MAX_MESSAGE = 1_900  # bytes; nginx cuts its own at 2,048, and escaped it must stay below PIPE_BUF
WATCH_SECONDS = 1.0  # between two looks at the files
LAST_SECONDS = 2.0  # for an output that is not read at the end
PR_SET_PDEATHSIG = 1  # prctl(2)

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


class Relay:
    """From the pipe to the output. It never waits for the output while there may be something to read."""

    def __init__(self, source: int, output: int) -> None:
        self._source = source
        self._output = output
        self._rest = b""  # the beginning of a line
        self._kept: deque[bytes] = deque()  # what the output has not taken yet
        self._size = 0
        self._dropped = 0

    def run(self) -> None:
        """Return after the end of the source, when all is written or the output has not been read for a while."""
        sources = [self._source]
        while sources or self._kept:
            seconds = None if sources else LAST_SECONDS
            readable, writable, _ = select.select(sources, [self._output] if self._kept else [], [], seconds)
            if not readable and not writable:
                return
            if readable and not self._read():
                sources.clear()
            if writable:
                self._write()

    def _read(self) -> bool:
        """Take what is there; False at the end."""
        data = os.read(self._source, 1 << 16)
        whole, _, self._rest = (self._rest + data).rpartition(b"\n")
        if self._rest and (not data or len(self._rest) > PIPE_BUF):
            whole, self._rest = (whole + b"\n" if whole else b"") + self._rest, b""
        if whole:
            self._keep(wrapped(whole + b"\n"))
        return bool(data)

    def _keep(self, lines: bytes) -> None:
        if self._size + len(lines) > MAX_KEPT:
            self._dropped += lines.count(b"\n")
            return
        self._kept.extend(pieces(lines))
        self._size += len(lines)

    def _write(self) -> None:
        piece = self._kept.popleft()
        self._size -= len(piece)
        try:
            os.write(self._output, piece)
        except OSError:  # the reader is gone or the disk full
            self._dropped += piece.count(b"\n")
            return
        if self._dropped and self._size < MAX_KEPT // 2:
            told, self._dropped = self._dropped, 0
            self._keep(record(b"nginx: [warn] %d records dropped: the log's output was not read" % told))


def start(command: list[str]) -> "tuple[subprocess.Popen[bytes], int]":
    """nginx and the end of the pipe from which to read its log."""
    read, write = os.pipe()
    os.set_blocking(write, False)  # for all processes that inherit it
    with suppress(OSError):  # more than the system allows, or than it has left for this user
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    libc, parent = ctypes.CDLL(None), os.getpid()

    def end_with_us() -> None:
        """Without us it would keep its port, and its successor could not start."""
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    process = subprocess.Popen(command, stdout=write, stderr=write, preexec_fn=end_with_us)
    os.close(write)
    return process, read


def content(patterns: list[str]) -> int:
    """A checksum of the files; a file that can't be read counts as empty."""
    found = 0
    for path in sorted(path for pattern in patterns for path in glob.glob(pattern)):  # noqa: PTH207  # absolute
        with suppress(OSError):
            found = zlib.crc32(path.encode() + Path(path).read_bytes(), found)
    return found


def takes_signals(pid: int) -> bool:
    """Whether SIGHUP is handled; before that it would end nginx."""
    with suppress(OSError):
        caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) & 1 << signal.SIGHUP - 1)
    return False


def watch(process: "subprocess.Popen[bytes]", patterns: list[str], seen: int) -> None:
    """Have nginx read its files anew when they have changed; called in a thread that ends with ours."""
    while True:
        time.sleep(WATCH_SECONDS)
        now = content(patterns)
        if now != seen and takes_signals(process.pid):
            seen = now
            process.send_signal(signal.SIGHUP)


def option(name: str) -> list[str]:
    """The values of an option that may be given several times."""
    return [word.partition("=")[2] for word in sys.argv if word.startswith(f"--{name}=")]


def main() -> int:
    """Run the command; its exit code, or as a shell has it 128 and the signal's number."""
    patterns, sockets = option("watch"), option("socket")
    seen = content(patterns)
    for path in sockets:
        Path(path).unlink(missing_ok=True)
    process, source = start(sys.argv[1 + len(patterns) + len(sockets) :])

    def forward(number: int, frame: FrameType | None) -> None:
        process.send_signal(number)

    for name in FORWARDED:
        signal.signal(getattr(signal, name), forward)
    if patterns:
        threading.Thread(target=watch, args=(process, patterns, seen), daemon=True).start()
    Relay(source, sys.stdout.fileno()).run()
    code = process.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())

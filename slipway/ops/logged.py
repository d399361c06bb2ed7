"""Runs nginx with its log as JSON, such that a stalled log can't block it: `nginx.logged` builds the command line.

nginx's access log and error log go into one pipe with a non-blocking write end. This process always reads it: lines of
the access log pass unchanged, plain ones become JSON objects. While the output is not read, lines beyond the buffer are
dropped and counted, and a record reports the number when there is room. If this process stalls, nginx drops lines.
Signals go to nginx, its exit code becomes this process's, and its log is written to the end before this process exits.

nginx can't bind a unix socket that a killed nginx has left; `--socket=PATH` names those to remove before the start.

nginx reads its files only at a start or reload. When the content of files that match `--watch=PATTERN` changes, it
gets SIGHUP; if the new files are wrong it logs the error and keeps its configuration.

Standard library only, since a deploy may remove the virtual environment. `nginx/logged.sh` does the same in the image.
"""

import ctypes
import fcntl
import glob
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path
from types import FrameType

from slipway.ops.log_relay import Relay

FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGWINCH")
PIPE_SIZE = 1 << 20  # bytes instead of 64 KiB, which full load fills in 10 ms: this process may get the CPU later
WATCH_SECONDS = 1.0  # between two checks of the files
PR_SET_PDEATHSIG = 1  # prctl(2)


def start(command: list[str]) -> "tuple[subprocess.Popen[bytes], int]":
    """Start nginx; return its process and the read end of the pipe with its log."""
    read, write = os.pipe()
    os.set_blocking(write, False)  # for all processes that inherit it
    with suppress(OSError):  # beyond the system's limit, or the user's quota of pipe pages
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    libc, parent = ctypes.CDLL(None), os.getpid()

    def before_it() -> None:
        """Have nginx end with this process, else it would keep its port and no successor could start; set SCHED_BATCH.

        By default each request and each response wakes nginx, which preempts an app worker for a moment. A batch
        process waits its turn (sched(7)) and then handles many events at once, which saves a tenth of the CPU time.
        """
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        with suppress(OSError):  # a sandbox may forbid it
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    process = subprocess.Popen(command, stdout=write, stderr=write, preexec_fn=before_it)
    os.close(write)
    return process, read


def content(patterns: list[str]) -> int:
    """Return a checksum of the files; one that can't be read is left out."""
    found = 0
    for path in sorted(path for pattern in patterns for path in glob.glob(pattern)):  # noqa: PTH207  # absolute
        with suppress(OSError):
            found = zlib.crc32(path.encode() + Path(path).read_bytes(), found)
    return found


def takes_signals(pid: int) -> bool:
    """Whether nginx handles SIGHUP already; before that the signal would end it."""
    with suppress(OSError):
        caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        return caught is not None and bool(int(caught[1], 16) & 1 << signal.SIGHUP - 1)
    return False


def watch(process: "subprocess.Popen[bytes]", patterns: list[str], seen: int) -> None:
    """Reload nginx whenever the content of the files has changed; runs in a daemon thread."""
    while True:
        time.sleep(WATCH_SECONDS)
        now = content(patterns)
        if now != seen and takes_signals(process.pid):
            seen = now
            process.send_signal(signal.SIGHUP)


def option(name: str) -> list[str]:
    """Return the values of an option that may be given several times."""
    return [word.partition("=")[2] for word in sys.argv if word.startswith(f"--{name}=")]


def main() -> int:
    """Run the command; return its exit code or, as a shell does, 128 plus the signal's number."""
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

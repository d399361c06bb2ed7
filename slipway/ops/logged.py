"""Runs nginx so that its log is JSON, and so that no log can block it: `nginx.logged` has the command line.

nginx's access log and error log go into one pipe, whose write end never blocks. Here it is always read: lines of the
access log pass as they are, plain ones become JSON objects, and what finds no room because the output is not read is
counted and dropped, which a record tells as soon as there is room. Should this process itself stand still, nginx drops.
Signals go to nginx, its exit code is ours, and everything that it has written until its end goes out before ours.

nginx binds no unix socket that a killed one has left; those that `--socket=PATH` names are removed before it starts.

nginx reads its files once. When the content of those that `--watch=PATTERN` names has changed, it is told to read
them anew; what is wrong in them it logs, and goes on with what it has.

Standard library only, so that it needs no environment, which a deploy may take away. `nginx/logged.sh` does the
same in the image.
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
PIPE_SIZE = 1 << 20  # bytes instead of 64 KiB, which full load fills in 10 ms: we may get the CPU later than that
WATCH_SECONDS = 1.0  # between two looks at the files
PR_SET_PDEATHSIG = 1  # prctl(2)


def start(command: list[str]) -> "tuple[subprocess.Popen[bytes], int]":
    """nginx and the end of the pipe from which to read its log."""
    read, write = os.pipe()
    os.set_blocking(write, False)  # for all processes that inherit it
    with suppress(OSError):  # more than the system allows, or than it has left for this user
        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    libc, parent = ctypes.CDLL(None), os.getpid()

    def before_it() -> None:
        """Without us it would keep its port, and its successor could not start.

        Woken for each request and each answer it would take the processor from a worker, and give it back a moment
        later. So it waits its turn (sched(7)): it then finds many at a time, which saves a tenth of the CPU time.
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

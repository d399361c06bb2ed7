"""`make logs`: all logs of the stack together, readable; with REQUEST=<id> those of one request alone."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from slipway.logs import console
from slipway.ops.settings import ROOT

# compose's lines: the container, then its line; with --follow after a "clear line" sequence, even without colours.
PREFIX = re.compile(rb"(?:\x1b\[2K)?([\w.-]+)\s+\| (.*)", re.DOTALL)
HEADER = re.compile(rb"==> .* <==\s*|\s*")  # tail's, between two files
# A line that begins with one of these belongs to the record above it.
CONTINUES = (b" ", b"\t")


def follow(command: Sequence[str], environment: Mapping[str, str], request_id: str, old: Iterable[Path] = ()) -> int:
    """Show the `old` files, then a command's output until interrupted; return the command's exit code."""
    show = Shown(request_id, console.render_for(sys.stdout.fileno()))
    for path in old:
        with suppress(OSError), path.open("rb") as file:
            show.all(file)
    # In a session of its own: Ctrl-C reaches only this process, which then ends the command.
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    try:
        show.all(process.stdout)
        return process.wait()  # its output has ended, so it ends soon
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # `make logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


class Shown:
    """Writes lines to stdout as they arrive."""

    def __init__(self, request_id: str, render: console.Render) -> None:
        self._wanted = request_id.encode()
        self._render = render
        self._matched = False
        self._output = sys.stdout.buffer

    def all(self, lines: Iterable[bytes]) -> None:
        """Write the wanted lines."""
        for line in lines:
            text = self.one(line)
            if text:
                self._output.write(text)
                self._output.flush()

    def one(self, line: bytes) -> bytes:
        """Return a line as it is shown; empty if it is left out."""
        if HEADER.fullmatch(line):
            return b""
        found = PREFIX.fullmatch(line)
        name, text = (found[1], found[2]) if found else (b"", line)
        self._matched = self._is_wanted(text)
        if not self._matched:
            return b""
        shown = self._render(text)
        # A record names its part of the stack; lines of other programs need the container's name.
        return shown if shown is not text or not name else b"%-14b %b" % (name, text)

    def _is_wanted(self, text: bytes) -> bool:
        if not self._wanted or self._wanted in text:
            return True
        return self._matched and text.startswith(CONTINUES)

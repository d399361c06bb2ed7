"""An app that logs in every possible way, and a server whose output is a test's pipe."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.processes import running
from tests.harness.stack import Server

# Each path names a function of this module, which runs in the handler, on the event loop.
SOURCE = """
import ctypes, logging, os, subprocess, sys, threading, time, warnings

log = logging.getLogger("site")


class Broken:
    def __str__(self):
        raise RuntimeError("on purpose")

    __repr__ = __str__


def block(seconds):
    time.sleep(float(seconds))


def noise(count, size):
    for number in range(int(count)):
        log.info("noise %d %s", number, "x" * int(size))


def slowly(count, spin):
    for number in range(int(count)):
        log.info("slowly %d", number)
        end = time.monotonic() + 0.01
        while spin == "1" and time.monotonic() < end:
            pass
        time.sleep(0 if spin == "1" else 0.01)


def fail(text):
    raise LookupError(text)


def everything():
    log.info("newline\\n, NUL \\0, lone \\udcff, separators \\u2028 \\x85, face \\U0001f600")
    log.info("long %s", "y" * 1_000_000)
    log.info("wrong %d", "argument")
    log.info("broken %s", Broken())
    log.info("extra", extra={"level": "none", "pid": "none", "nan": float("nan"), "broken": Broken(), "x" * 90_000: 1})
    log.info({"message": "a dict", ("a", "tuple"): 1, "deep": [float("inf")]})
    cycle = []
    cycle.append(cycle)
    log.info("cycle", extra={"cycle": cycle, "many": ["\\U0001f600" * 1_000] * 1_000})
    print("printed")
    print("printed in", end=" ")
    print("two parts", flush=True)
    print("an error", file=sys.stderr)
    sys.stdout.buffer.write(b"bytes \\xff\\n")
    sys.stderr.writelines(["several\\n", "lines\\n"])
    os.write(1, b"past Python \\xff\\n")
    os.write(2, b"past Python's errors\\n")
    ctypes.CDLL(None).puts(b"from C") and ctypes.CDLL(None).fflush(None)
    subprocess.run("echo a program; echo its error >&2", shell=True)
    subprocess.run(["echo", "a program on sys.stdout"], stdout=sys.stdout)
    warnings.warn("a warning")
    thread = threading.Thread(target=fail, args=["in a thread"])
    thread.start()
    thread.join()
    type("Unraisable", (), {"__del__": lambda self: fail("in __del__")})()
    try:
        fail("printed")
    except LookupError:
        __import__("traceback").print_exc()


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        log.info("the last record")
        print("the last print", end="")
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message.get("more_body"):
            break
    name, _, rest = scope["path"].strip("/").partition("/")
    if name:
        globals()[name](*rest.split("/") if rest else ())
    body = body or b"old"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""


@dataclass
class Pipe:
    """A pipe for a server's output. Once `read` has been called, lines are kept with the time of their arrival."""

    lines: list[tuple[float, bytes]] = field(default_factory=list)
    filling: int = 0

    def __post_init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self._thread: threading.Thread | None = None

    def fill(self) -> None:
        """Write until no byte of room is left."""
        os.set_blocking(self.writer, False)
        with suppress(BlockingIOError):
            while True:
                self.filling += os.write(self.writer, b" " * 4_095 + b"\n")
        os.set_blocking(self.writer, True)  # the flag is shared with the server

    def read(self) -> None:
        """Start to read, until all writers have closed."""
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def close(self) -> None:
        """Read to the end, if reading has begun, and close the pipe: from now on every write fails."""
        self.close_writer()
        if self._thread is not None:
            self._thread.join(30)
            assert not self._thread.is_alive()
        self.close_reader()

    def close_reader(self) -> None:
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1

    def close_writer(self) -> None:
        """Close the test's copy of the write end; otherwise the reader would not see the end."""
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1

    def records(self) -> list[dict[str, Any]]:
        """Return all lines so far without the filling; raise if one is not a JSON object."""
        return [record for _, record in self.arrivals()]

    def arrivals(self) -> list[tuple[float, dict[str, Any]]]:
        found = [(moment, strict(line)) for moment, line in [*self.lines] if line.strip()]
        assert all(isinstance(record, dict) for _, record in found)
        return found

    def _read(self) -> None:
        part = b""
        while data := os.read(self.reader, 1 << 20):
            now = time.time()
            *whole, part = (part + data).split(b"\n")
            self.lines += [(now, line) for line in whole]
        assert not part


def strict(line: bytes) -> Any:
    """Parse as a strict reader in another language would: UTF-8, no NaN, no lone surrogate."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    parsed = json.loads(line.decode(), parse_constant=refuse)
    json.dumps(parsed, ensure_ascii=False).encode()
    return parsed


@contextmanager
def piped(server: Server, pipe: Pipe) -> Iterator[Server]:
    """Run a server that writes to the pipe."""
    server.output = pipe.writer
    with running(server):
        pipe.close_writer()
        yield server


def write_app(folder: Path) -> None:
    """Write the app into a folder, as a site's."""
    (folder / "site_app.py").write_text(SOURCE)

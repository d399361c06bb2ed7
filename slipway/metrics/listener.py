"""Answers scrapes on listeners of its own, in a thread of the arbiter, even if the workers' event loops are blocked.

The public listeners lead to nginx and the workers. This one is a unix socket beside them, for `make top` and other
local tools, and with METRICS_PORT also a TCP port, for Prometheus.
"""

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from slipway.logs.threads import start_thread

log = logging.getLogger("slipway.metrics")

AGAIN_SECONDS = 1.0  # until an address in use by another server is tried again
CLIENT_SECONDS = 2.0  # for a client's request, and for its answer
MOST_BYTES = 8_192  # of a request's head
NICE = 15  # requests go before scrapes
PATHS = (b"/metrics", b"/")
HEAD = "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n"

Address = str | tuple[str, int]


class Listener:
    """Listens on each of its addresses as soon as it is free."""

    def __init__(self, addresses: Sequence[Address], content_type: str, answer: Callable[[], bytes]) -> None:
        self._addresses = list(addresses)
        self._content_type = content_type
        self._answer = answer
        self._sockets: dict[Address, socket.socket] = {}
        self._told: set[Address] = set()
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the thread. No error here can stop the server."""
        with suppress(Exception):
            self._bind()
        start_thread(self._run, "metrics")

    def end(self) -> None:
        """Stop listening, and remove the socket's file."""
        self._ended.set()
        for each in self._sockets.values():
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # which wakes the thread
        self.forget()
        for address in self._sockets:
            if isinstance(address, str):
                with suppress(OSError):
                    os.unlink(address)  # noqa: PTH108 (an address is no path to everyone)

    def forget(self) -> None:
        """Close the parent's listeners in a forked process."""
        for each in self._sockets.values():
            each.close()

    def _run(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while not self._ended.is_set():
            with suppress(Exception):  # no memory or descriptor; the next attempt may succeed
                self._bind()
                self._serve()

    def _bind(self) -> None:
        for address in self._addresses:
            if address not in self._sockets:
                try:
                    self._sockets[address] = _bound(address)
                except OSError as error:
                    if address not in self._told:
                        self._told.add(address)
                        log.info("Metrics can't be served at %s yet: %s", address, error.strerror or error)

    def _serve(self) -> None:
        missing = len(self._sockets) < len(self._addresses)
        ready, _, _ = select.select([*self._sockets.values()], [], [], AGAIN_SECONDS if missing else None)
        for listener in ready:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                self._one(connection)

    def _one(self, connection: socket.socket) -> None:
        head = b""
        deadline = time.monotonic() + CLIENT_SECONDS
        while b"\r\n\r\n" not in head and len(head) < MOST_BYTES:
            connection.settimeout(max(0.0, deadline - time.monotonic()))
            data = connection.recv(MOST_BYTES)
            if not data:
                return
            head += data
        connection.settimeout(CLIENT_SECONDS)
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD") or path not in PATHS:
            connection.sendall(HEAD.format("404 Not Found", "text/plain", 0).encode())
            return
        body = self._answer()
        said = HEAD.format("200 OK", self._content_type, len(body)).encode()
        connection.sendall(said if method == b"HEAD" else said + body)


def _bound(address: Address) -> socket.socket:
    if not isinstance(address, str):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        return socket.create_server(address, family=family, backlog=16)
    listener = socket.socket(socket.AF_UNIX)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(address) == 0:
                raise OSError(f"{address} belongs to a server that runs")
        with suppress(FileNotFoundError):
            os.unlink(address)  # noqa: PTH108 (of a server that was killed)
        listener.bind(address)
        os.chmod(address, 0o600)  # noqa: PTH101
        listener.listen(16)
    except OSError:
        listener.close()
        raise
    return listener

"""XML-RPC over a unix socket."""

import http.client
import socket
import xmlrpc.client
from contextlib import closing
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 30.0  # for one call; a call only begins a start or a stop


def call(path: Path, method: str, *arguments: Any) -> Any:
    """Call a method such as `supervisor.getPID`; raise OSError if nothing answers on the socket."""
    with closing(_Transport(path)) as transport:
        target: Any = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        for name in method.split("."):
            target = getattr(target, name)
        try:
            return target(*arguments)
        except http.client.HTTPException as error:
            raise ConnectionError(str(error)) from error


class _Transport(xmlrpc.client.Transport):
    """A transport with one connection, which `close` ends."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._to = _Connection(path)

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return self._to

    def close(self) -> None:
        self._to.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            raise
        self.sock = connection

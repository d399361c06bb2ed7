"""XML-RPC over a unix socket."""

import http.client
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any

ANSWER_SECONDS = 30.0  # for one call; starts and stops are begun by a call and then watched


def call(path: Path, method: str, *arguments: Any) -> Any:
    """Call a method such as `supervisor.getPID`; OSError when nothing answers on the socket."""
    server: Any = xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(path))
    for name in method.split("."):
        server = getattr(server, name)
    try:
        return server(*arguments)
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _Connection(self._path)


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

"""The ports of measured servers."""

import socket
from pathlib import Path

import pytest

from bench.run import processes

OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_outgoing_connection_takes_a_free_port() -> None:
    """A free port is outside the system's range for outgoing connections, so that no client can take it meanwhile."""
    lowest_outgoing = int(OUTGOING.read_text().split()[0])

    assert all(processes.free_port() < lowest_outgoing for _ in range(100))


def test_port_in_use_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port in use is skipped."""
    with socket.socket() as server, socket.socket() as free:
        for each in (server, free):
            each.bind(("127.0.0.1", 0))
        server.listen()
        ports = [each.getsockname()[1] for each in (server, free)]
        free.close()
        monkeypatch.setattr(processes, "NOT_OUTGOING", ports)

        assert {processes.free_port() for _ in range(20)} == {ports[1]}

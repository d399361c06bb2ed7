"""The metrics listener: its thread sleeps until a client connects, and its addresses are released at once."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from slipway.metrics.listener import AGAIN_SECONDS, CLIENT_SECONDS, Address, Listener
from slipway.ops import wait
from tests.harness.processes import free_ports, short_folder


@pytest.fixture
def addresses() -> Iterator[list[Address]]:
    with short_folder() as folder:
        yield [str(folder / "metrics.sock"), ("127.0.0.1", free_ports())]


@pytest.fixture
def listener(addresses: list[Address]) -> Iterator[Listener]:
    listener = Listener(addresses, "text/plain", lambda: b"figures")
    listener.start()
    yield listener
    listener.end()
    assert wait.until(lambda: thread() is None, 5)


def asked(address: Address) -> str:
    url = "http://metrics/metrics" if isinstance(address, str) else f"http://{address[0]}:{address[1]}/metrics"
    transport = httpx.HTTPTransport(uds=address if isinstance(address, str) else None)
    with httpx.Client(transport=transport) as client:
        return client.get(url).text


def is_reached(address: Address) -> bool:
    with socket.socket() as client:
        return client.connect_ex(address) == 0


def thread() -> threading.Thread | None:
    return next((each for each in threading.enumerate() if each.name == "metrics"), None)


def sleeps() -> int:
    """Return how often the listener's thread has gone to sleep."""
    found = thread()
    assert found is not None
    lines = Path(f"/proc/self/task/{found.native_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def test_answers_on_all_addresses(listener: Listener, addresses: list[Address]) -> None:
    """The listener answers on the unix socket and on TCP."""
    assert [asked(address) for address in addresses] == ["figures", "figures"]


def test_sleeps_until_a_client_asks(listener: Listener, addresses: list[Address]) -> None:
    """With all its addresses bound, the listener only waits for clients, without polling."""
    for address in addresses:
        asked(address)
    before = sleeps()
    assert not wait.until(lambda: sleeps() > before + 1, 2.5 * AGAIN_SECONDS)


def test_address_is_taken_as_soon_as_it_is_free(addresses: list[Address]) -> None:
    """While another server has the address, the listener tries again."""
    other = socket.create_server(("127.0.0.1", addresses[1][1]))
    listener = Listener(addresses, "text/plain", lambda: b"figures")
    listener.start()
    try:
        assert asked(addresses[0]) == "figures"
        other.close()
        assert wait.until(lambda: is_reached(addresses[1]), 5)
        assert asked(addresses[1]) == "figures"
    finally:
        listener.end()


def test_end_frees_the_addresses(listener: Listener, addresses: list[Address]) -> None:
    """After its end the next server can bind the addresses at once, and the thread is gone."""
    assert asked(addresses[1]) == "figures"
    listener.end()
    began = time.monotonic()
    assert wait.until(lambda: thread() is None, 5)

    assert time.monotonic() - began < AGAIN_SECONDS / 2
    with socket.create_server(("127.0.0.1", addresses[1][1])):
        assert not Path(str(addresses[0])).exists()


def test_slow_client_delays_others_for_a_bounded_time(listener: Listener, addresses: list[Address]) -> None:
    """A client that sends its request byte by byte is cut off, and then the next one is answered."""
    asked(addresses[1])
    ended = threading.Event()
    with socket.create_connection(("127.0.0.1", addresses[1][1])) as slow:
        dripping = threading.Thread(target=drip, args=(slow, ended))
        slow.send(b"G")
        dripping.start()
        began = time.monotonic()
        try:
            assert asked(addresses[1]) == "figures"
        finally:
            ended.set()
            dripping.join()

    assert time.monotonic() - began < 2 * CLIENT_SECONDS


def drip(client: socket.socket, ended: threading.Event) -> None:
    """Send a byte every 0.2 s, until told to end or cut off."""
    with suppress(OSError):
        while not ended.wait(0.2):
            client.send(b"G")

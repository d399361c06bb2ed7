"""One run: clients in one room, one of which speaks at a steady rate; every delivery is checked and timed."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from bench.fanout.arms import RoomDialect, ServedRoom
from bench.fanout.client import Client

SETTLE_SECONDS = 1.0  # so that the cost of connecting is not measured
LAST_SECONDS = 5.0  # for all clients to enter the room, and for the last messages to arrive


@dataclass(frozen=True, slots=True)
class RoomTalk:
    """The result of one run."""

    deliveries: int
    cpu_seconds: float
    latencies: list[float]  # of each delivery, in seconds
    wrong: int  # gaps, doubles and messages out of order, and those missing at the end; over all clients

    @property
    def per_cpu_second(self) -> float:
        return self.deliveries / max(self.cpu_seconds, 1e-9)


class RoomListener:
    """The messages received by one client."""

    def __init__(self, dialect: RoomDialect, sent: list[float], latencies: list[float]) -> None:
        self._dialect = dialect
        self._sent = sent
        self._latencies = latencies
        self.client: Client | None = None
        self.is_in = not dialect.greeting
        self.heard = 0  # the number of messages up to the last one received
        self.wrong = 0

    def take(self, payload: bytes) -> None:
        """Handle a received text."""
        if self._dialect.ping and payload == self._dialect.ping:
            assert self.client is not None
            return self.client.send(self._dialect.pong)
        if not self.is_in:
            self.is_in = payload.startswith(self._dialect.greeting)
            return None
        number = self._dialect.number(payload)
        if number is None:
            return None
        self._latencies.append(monotonic() - self._sent[number])
        self.wrong += number != self.heard
        self.heard = number + 1
        return None


async def talk(room: ServedRoom, dialect: RoomDialect, *, clients: int, rate: float, seconds: float) -> RoomTalk:
    """Measure once."""
    sent: list[float] = []
    latencies: list[float] = []
    listeners = [RoomListener(dialect, sent, latencies) for _ in range(clients)]
    for number, listener in enumerate(listeners):
        port = room.ports[number % len(room.ports)]
        listener.client = await Client.open(port, dialect.path, listener.take)
        if dialect.greeting:
            listener.client.send(dialect.greeting)
    await _until(lambda: all(listener.is_in for listener in listeners))
    await asyncio.sleep(SETTLE_SECONDS)
    before = room.cpu_seconds()
    await _speak(listeners[0].client, dialect, sent, rate, int(rate * seconds))
    await _until(lambda: all(listener.heard == len(sent) for listener in listeners))
    cpu_seconds = room.cpu_seconds() - before
    for listener in listeners:
        assert listener.client is not None
        listener.client.transport.abort()
    lost = sum(len(sent) - listener.heard for listener in listeners)
    return RoomTalk(len(latencies), cpu_seconds, latencies, lost + sum(listener.wrong for listener in listeners))


async def _until(reached: Callable[[], bool]) -> None:
    """Wait for it, at most LAST_SECONDS; an event for each delivery would cost the clients CPU time."""
    end = monotonic() + LAST_SECONDS
    while not reached() and monotonic() < end:  # noqa: ASYNC110
        await asyncio.sleep(0.02)


async def _speak(client: Client | None, dialect: RoomDialect, sent: list[float], rate: float, messages: int) -> None:
    assert client is not None
    start = monotonic()
    for number in range(messages):
        await asyncio.sleep(max(0.0, start + number / rate - monotonic()))
        sent.append(monotonic())
        client.send(dialect.say(number))

"""How many requests, streams and websockets one worker has open, and how many of each it may have."""

from asyncio import Task, current_task
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from slipway.metrics import layout
from slipway.metrics.board import Board

# Names of scope types, and the one that a request becomes while its answer is a stream.
REQUEST, STREAM, WEBSOCKET = KINDS = ("http", "stream", "websocket")

STREAM_SECONDS = 1.0  # an answer that is still being sent this long after its request came is a stream


class Open(Protocol):
    """A request, stream or websocket that is open."""

    kind: str
    started: float

    def become_stream(self) -> bool:
        """Count it as a stream from now on; False while there is no room for one more."""


Running = dict[Open, Task[object] | None]  # with the task of each, in the order in which they came


@dataclass(slots=True)
class Counts:
    """The counts of one worker: what is open by kind, and how many requests and websockets there have been."""

    limits: Mapping[str, int]
    total: int = 0
    running: dict[str, Running] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    sending: set[Open] = field(default_factory=set)  # requests whose answers are sent in parts
    board: Board = field(default_factory=Board)  # what is counted for the metrics

    @property
    def open(self) -> dict[str, int]:
        """How many are open, by kind."""
        return {kind: len(running) for kind, running in self.running.items()}

    @property
    def active(self) -> int:
        """Open requests, streams and websockets together."""
        return sum(self.open.values())

    def begin(self, exchange: Open) -> Running:
        """Count one more, in its own task; those of its kind that are open now."""
        self.total += 1
        running = self.running[exchange.kind]
        running[exchange] = current_task()
        return running

    def end(self, exchange: Open) -> None:
        """It is over."""
        del self.running[exchange.kind][exchange]
        if self.sending:
            self.sending.discard(exchange)

    @property
    def reloads(self) -> int:
        """How many reloads of the server were done."""
        return int(self.board.figures[layout.RELOADS])

    def durations(self) -> tuple[Sequence[float], Sequence[float]]:
        """Limits in seconds, and how many requests took at most as long each, or longer; without streams."""
        return layout.DURATIONS, self.board.durations()

    def note(self) -> None:
        """Write down what is open now, and what this process has used; the worker's heartbeat calls this."""
        self.board.note(*(len(self.running[kind]) for kind in KINDS))

    def find_streams(self) -> None:
        """Count as streams what has been sent in parts for STREAM_SECONDS; the worker's heartbeat calls this.

        A request pays nothing for it, and a stream that is silent is found, too.
        """
        old = perf_counter() - STREAM_SECONDS
        for request in [each for each in self.sending if each.started < old]:
            if not request.become_stream():
                return
            self.sending.discard(request)

"""The open requests, streams and websockets of one worker, and the limit of each."""

from asyncio import Task, current_task
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from slipway.metrics import layout
from slipway.metrics.board import Board

# The scope types, and the kind of a request whose answer is a stream.
REQUEST, STREAM, WEBSOCKET = KINDS = ("http", "stream", "websocket")

STREAM_SECONDS = 1.0  # an answer that is still being sent this long after its request came is a stream


class Open(Protocol):
    """An open request, stream or websocket."""

    kind: str
    started: float

    def become_stream(self) -> bool:
        """Count it as a stream from now on; False while there is no room for one more."""


Running = dict[Open, Task[object] | None]  # with the task of each, in order of arrival


@dataclass(slots=True)
class Counts:
    """The counts of one worker: open exchanges by kind, and the total of requests and websockets."""

    limits: Mapping[str, int]
    total: int = 0
    running: dict[str, Running] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    sending: set[Open] = field(default_factory=set)  # requests whose answers are sent in parts
    board: Board = field(default_factory=Board)  # the figures for the metrics

    @property
    def open(self) -> dict[str, int]:
        """The number of open exchanges by kind."""
        return {kind: len(running) for kind, running in self.running.items()}

    @property
    def active(self) -> int:
        """Open requests, streams and websockets together."""
        return sum(self.open.values())

    def begin(self, exchange: Open) -> Running:
        """Count a new exchange, in its own task; return the open ones of its kind."""
        self.total += 1
        running = self.running[exchange.kind]
        running[exchange] = current_task()
        return running

    def end(self, exchange: Open) -> None:
        """Remove a finished exchange from the open ones."""
        del self.running[exchange.kind][exchange]
        if self.sending:
            self.sending.discard(exchange)

    @property
    def reloads(self) -> int:
        """The number of reloads of the server so far."""
        return int(self.board.figures[layout.RELOADS])

    def durations(self) -> tuple[Sequence[float], Sequence[float]]:
        """Return the buckets' limits in seconds, and the requests of each and above the last, without streams."""
        return layout.DURATIONS, self.board.durations()

    def note(self) -> None:
        """Write the open requests and this process's usage into the board; called by the worker's heartbeat."""
        self.board.note(*(len(self.running[kind]) for kind in KINDS))

    def find_streams(self) -> None:
        """Count as streams the requests older than STREAM_SECONDS that send in parts; called by the worker's heartbeat.

        This costs a request nothing, and it also finds a stream that is silent.
        """
        old = perf_counter() - STREAM_SECONDS
        for request in [each for each in self.sending if each.started < old]:
            if not request.become_stream():
                return
            self.sending.discard(request)

"""How many requests, streams and websockets one worker has open, and how many of each it may have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Protocol

from slipway.metrics import layout
from slipway.metrics.board import Board

# Names of scope types, and the one that a request becomes while its answer is a stream.
REQUEST, STREAM, WEBSOCKET = KINDS = ("http", "stream", "websocket")

STREAM_SECONDS = 1.0  # an answer that is still being sent this long after its request came is a stream


class Sending(Protocol):
    """A request whose answer is being sent in parts."""

    started: float

    def become_stream(self) -> bool:
        """Count it as a stream from now on; False while there is no room for one more."""


@dataclass(slots=True)
class Counts:
    """The counts of one worker: what is open by kind, and how many requests and websockets there have been."""

    limits: Mapping[str, int]
    total: int = 0
    open: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    sending: set[Sending] = field(default_factory=set)  # requests whose answers are sent in parts
    board: Board = field(default_factory=Board)  # what is counted for the metrics

    @property
    def active(self) -> int:
        """Open requests, streams and websockets together."""
        return sum(self.open.values())

    @property
    def reloads(self) -> int:
        """How many reloads of the server were done."""
        return int(self.board.figures[layout.RELOADS])

    def durations(self) -> tuple[Sequence[float], Sequence[float]]:
        """Limits in seconds, and how many requests took at most as long each, or longer; without streams."""
        return layout.DURATIONS, self.board.durations()

    def note(self) -> None:
        """Write down what is open now, and what this process has used; the worker's heartbeat calls this."""
        self.board.note(self.open[REQUEST], self.open[STREAM], self.open[WEBSOCKET])

    def find_streams(self) -> None:
        """Count as streams what has been sent in parts for STREAM_SECONDS; the worker's heartbeat calls this.

        A request pays nothing for it, and a stream that is silent is found, too.
        """
        old = perf_counter() - STREAM_SECONDS
        for request in [each for each in self.sending if each.started < old]:
            if not request.become_stream():
                return
            self.sending.discard(request)

"""The metrics of a server: its workers' figures by slot, the arbiter's own figures, and a listener for scrapes."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from slipway.logs import writer
from slipway.metrics import exposition, proxy, queues
from slipway.metrics.app_files import AppFiles
from slipway.metrics.listener import Address, Listener
from slipway.metrics.slots import SlotFigures, resident_bytes
from slipway.serving.roster import Roster, WorkerState
from slipway.serving.settings import ServerSettings

Known = Callable[[], Mapping[str, float | Mapping[str, float]]]


class ServerMetrics:
    """Keeps the figures of workers that have ended, and answers scrapes."""

    def __init__(self, settings: ServerSettings, roster: Roster, listeners: Callable[[], list[Any]]) -> None:
        self._roster = roster
        self._listeners = listeners
        self._slots = SlotFigures()
        self._app = AppFiles(settings.metrics_socket)
        self._ends: Counter[str] = Counter()
        self._since = time.time()
        self._reloads = 0
        self._now: Callable[[], float] = time.monotonic
        self._known: Known = dict
        self._proxy_socket = settings.proxy_socket
        addresses: list[Address] = [settings.metrics_socket]
        if settings.metrics_port:
            addresses.append((settings.metrics_host, settings.metrics_port))
        self._listener = Listener(addresses, exposition.CONTENT_TYPE, self.text)

    def start(self, now: Callable[[], float], known: Known) -> None:
        """Begin to answer scrapes; `known` returns the arbiter's own figures."""
        self._now, self._known = now, known
        self._app.begin()
        self._listener.start()

    def end(self) -> None:
        """Stop answering, and remove the files of the app's own metrics."""
        self._listener.end()
        self._app.end()

    def in_worker(self) -> None:
        """Prepare a forked worker, before its app is loaded: drop the arbiter's resources."""
        self._listener.forget()
        self._slots.forget()
        self._app.in_worker()

    def started(self, state: WorkerState) -> None:
        """Take note of a forked worker."""
        self._slots.started(_label(state), state.pid, state.handover.board)
        self._slots.tell_reloads(self._reloads)

    def reloaded(self, reloads: int) -> None:
        """Tell the workers how many reloads were done, if the number has changed."""
        if reloads != self._reloads:
            self._reloads = reloads
            self._slots.tell_reloads(reloads)

    def ended(self, state: WorkerState) -> None:
        """Add the counts of an ended worker to those of its slot."""
        self._ends[cause(state)] += 1
        self._slots.has_ended(state.pid)
        with self._slots.lock:
            self._app.fold(state.pid)

    def text(self) -> bytes:
        """Return the answer to one scrape."""
        pids = self._slots.pids()
        scrape = exposition.Scrape(
            slots=self._slots.by_label(),
            memory={slot: float(sum(map(resident_bytes, those))) for slot, those in pids.items()},
            silence=self._silence(),
            queues=self._queues(),
            server=self._server(),
            proxy=proxy.read(self._proxy_socket) if self._proxy_socket else {},
            app=self._of_app,
        )
        return exposition.text(scrape)

    def _of_app(self) -> list[Any]:
        with self._slots.lock:  # or a worker that ends meanwhile would be missing or counted twice
            return [*self._app.collect()]

    def _silence(self) -> dict[str, float]:
        now = self._now()
        return {_label(state): max(0.0, now - state.beat_at) for state in self._roster.serving() if state.is_ready}

    def _queues(self) -> dict[str, float]:
        found = {str(number): queues.length(each.sock) for number, each in enumerate(self._listeners())}
        return {slot: float(count) for slot, count in found.items() if count is not None}

    def _server(self) -> dict[str, float | Mapping[str, float]]:
        ready = sum(state.is_ready for state in self._roster.serving())
        return {
            "slipway_workers_ready": float(ready),
            "slipway_start_time_seconds": self._since,
            "slipway_worker_restarts": {**dict.fromkeys(CAUSES, 0.0), **self._ends},
            "slipway_arbiter_log_lines_dropped": float(writer.dropped()),
            **self._known(),
        }


CAUSES = ("replaced", "spent", "unclean", "killed", "exit", "timeout", "failed start", "refused")


def cause(state: WorkerState) -> str:
    """Return why a worker has ended, as one of CAUSES."""
    if state.aborted_at is not None or state.killed_because:
        return "timeout"
    if state.refused_because:
        return "refused"
    if not state.is_ready:
        return "failed start"
    if state.retired_at is not None:
        spent = "spent" if state.handover.mailbox.wants_successor else "replaced"
        return "unclean" if state.end_reason else spent
    return "killed" if state.end_reason.startswith("killed") else "exit"


def _label(state: WorkerState) -> str:
    """Return the slot's number; without slots the number of the row in the table, which the next worker takes over."""
    return str(state.handover.row.number if state.slot is None else state.slot)

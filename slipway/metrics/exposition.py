"""The text of a scrape, with the names of names.py. Series are keyed by slot, never by process.

Dashboards, rules and pages may use only the names that `families` returns; a test checks this.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from slipway.metrics import layout, proxy
from slipway.metrics.figures import WorkerFigures
from slipway.metrics.names import COLLECTIONS, DIRECTED, DURATION, LAG, MEMORY, OF_SERVER, PER_SLOT, QUEUE, SILENCE

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


@dataclass
class Scrape:
    """The values of one scrape."""

    slots: Mapping[str, WorkerFigures]
    memory: Mapping[str, float]
    silence: Mapping[str, float]
    queues: Mapping[str, float]
    server: Mapping[str, float | Mapping[str, float]]
    proxy: Mapping[str, float] = field(default_factory=dict)
    app: Callable[[], Iterable[Metric]] = field(default=tuple)


def families() -> set[str]:
    """Return the names of all exported series, as used in queries."""
    return {sample.name for family in _Families(_EMPTY).collect() for sample in family.samples}


class _Families(Collector):
    def __init__(self, scrape: Scrape) -> None:
        self._scrape = scrape

    def collect(self) -> Iterator[Metric]:
        """Yield the server's families, then the app's; leave out an app's family that has a name of the server's."""
        ours: set[str] = set()
        for family in (
            *self._of_requests(),
            *self._of_slots(),
            *self._of_server(),
            *proxy.families(self._scrape.proxy),
        ):
            ours.add(family.name)
            yield family
        try:
            theirs = [*self._scrape.app()]
        except Exception:  # a truncated file of the app's, or one of another version
            return
        yield from (family for family in theirs if family.name not in ours)

    def _of_requests(self) -> Iterator[Metric]:
        labels = ["slot", "http_request_method", "http_route", "http_response_status_class"]
        durations = HistogramMetricFamily(DURATION, "Duration of requests.", labels=labels)
        lags = HistogramMetricFamily(LAG, "How late the event loop was at each heartbeat.", labels=["slot"])
        for slot, found in self._scrape.slots.items():
            for (method, kind, route), values in sorted(found.series.items()):
                durations.add_metric([slot, method, route, kind], *_histogram(layout.DURATIONS, values))
            values = found.single[layout.LAG : layout.COUNTERS_END]
            lags.add_metric([slot], *_histogram(layout.LAGS, values))
        yield durations
        yield lags

    def _of_slots(self) -> Iterator[Metric]:
        scrape = self._scrape
        for name, kind, text, place in PER_SLOT:
            yield _family(kind, name, text, "slot", {slot: f.single[place] for slot, f in scrape.slots.items()})
        for name, text, received, sent in DIRECTED:
            family = CounterMetricFamily(name, text, labels=["slot", "direction"])
            for slot, found in scrape.slots.items():
                family.add_metric([slot, "received"], found.single[received])
                family.add_metric([slot, "sent"], found.single[sent])
            yield family
        family = CounterMetricFamily(COLLECTIONS, "Runs of the garbage collector.", labels=["slot", "generation"])
        for slot, found in scrape.slots.items():
            for number in range(layout.GENERATIONS):
                family.add_metric([slot, str(number)], found.single[layout.COLLECTIONS + number])
        yield family
        yield _family("gauge", MEMORY, "Memory in RAM of the slot's workers.", "slot", scrape.memory)
        yield _family(
            "gauge", SILENCE, "Seconds since the last heartbeat of the slot's worker.", "slot", scrape.silence
        )
        yield _family("gauge", QUEUE, "Clients that wait to be accepted.", "slot", scrape.queues)

    def _of_server(self) -> Iterator[Metric]:
        for name, kind, text, label in OF_SERVER:
            value = self._scrape.server.get(name, 0.0)
            values = value if isinstance(value, Mapping) else {"": value}
            yield _family(kind, name, text, label, values)


def _family(kind: str, name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    make: Any = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    family: Metric = make(name, text, labels=[label] if label else [])
    for key, value in sorted(values.items()):
        family.add_metric([key] if label else [], value)  # type: ignore[attr-defined]
    return family


def _histogram(limits: tuple[float, ...], values: list[float]) -> tuple[list[tuple[str, float]], float]:
    """Return Prometheus' cumulative buckets, and the sum."""
    below, buckets = 0.0, []
    for limit, count in zip((*map(str, limits), "+Inf"), values[:-1], strict=True):
        below += count
        buckets.append((limit, below))
    return buckets, values[-1]


def text(scrape: Scrape) -> bytes:
    """Return the body of the response to a scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(scrape))
    return generate_latest(registry)


_ONE = {"0": 0.0}
_EMPTY = Scrape(
    {"0": WorkerFigures(series={("GET", "2xx", "/"): [0.0] * layout.VALUES})},
    _ONE,
    _ONE,
    _ONE,
    {name: ({"": 0.0} if label else 0.0) for name, _, _, label in OF_SERVER},
    proxy.EXAMPLE,
)

"""Prometheus text of what the workers say of themselves, keyed by slot, so that a reload adds no series."""

from collections.abc import Iterable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()

FAMILIES = (
    ("requests", CounterMetricFamily, "slipway_worker_requests", "Requests and websockets that the worker has taken."),
    ("connections", GaugeMetricFamily, "slipway_worker_active", "Requests, streams and websockets under way."),
    ("memory", GaugeMetricFamily, "slipway_worker_resident_memory_bytes", "Memory that the worker has in RAM."),
    (
        "lag",
        GaugeMetricFamily,
        "slipway_worker_event_loop_lag_seconds",
        "How late the event loop was at its last beat.",
    ),
)


class _Workers(Collector):
    def __init__(self, beats: Iterable[dict[str, Any]]) -> None:
        self._beats = list(beats)

    def collect(self) -> Iterator[Metric]:
        for key, kind, name, text in FAMILIES:
            family = kind(name, text, labels=["slot"])
            for beat in self._beats:
                # Without slots the process id tells workers apart: a series must not be there twice.
                family.add_metric([str(beat["pid"] if beat["slot"] is None else beat["slot"])], beat[key])
            yield family


def exposition(beats: Iterable[dict[str, Any]]) -> bytes:
    """The text of one scrape, from each worker's last beat."""
    registry = CollectorRegistry()
    registry.register(_Workers(beats))
    return generate_latest(registry)

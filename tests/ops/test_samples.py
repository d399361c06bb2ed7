"""`make top` parses what the server exports."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipway.metrics import exposition
from slipway.metrics.figures import WorkerFigures
from slipway.ops.samples import Samples, quantile

SERIES = {("GET", "2xx", '/a"\\{id}\n'): [5.0, *[0.0] * 8, 5.0, *[0.0] * 5, 5.05]}
TEXT = exposition.text(
    exposition.Scrape({"0": WorkerFigures(series=SERIES)}, {}, {}, {}, {"slipway_workers": 2.0})
).decode()


def test_same_as_prometheus() -> None:
    """Every sample is parsed as by Prometheus' own reader."""
    expected = [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(TEXT)
        for sample in family.samples
    ]

    assert [(each.name, each.labels, each.value) for each in Samples(TEXT).all] == expected


def test_quantiles() -> None:
    """A quantile is interpolated within its bucket; without requests there is none."""
    buckets = Samples(TEXT).buckets("http_server_request_duration_seconds", slot="0")

    assert quantile(0.5, {}, buckets) == pytest.approx(0.005)
    assert quantile(0.99, {}, buckets) == pytest.approx(0.995)
    assert quantile(0.5, buckets, buckets) is None
    assert quantile(0.5, {}, {0.1: 0.0, float("inf"): 3.0}) == 0.1

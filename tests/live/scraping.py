"""Scrapes of a server's private socket, parsed by Prometheus' own reader."""

import asyncio
from collections.abc import Callable

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.client import request
from tests.harness.processes import pause
from tests.harness.stack import Server

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scraped(server: Server) -> Samples:
    """Scrape the private unix socket and return every sample."""
    answer = await request(str(server.folder / "app.stats"), "GET", "/metrics")

    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")
    families = text_string_to_metric_families(answer.body.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of the series that have these labels."""
    return sum(
        each for (known, those), each in samples.items() if known == name and labels.items() <= dict(those).items()
    )


async def until_scraped(server: Server, seen: Callable[[Samples], bool]) -> Samples:
    """Return the first scrape that `seen` accepts; a scrape itself takes some milliseconds."""
    async with asyncio.timeout(15):
        while not seen(samples := await scraped(server)):
            await pause()
    return samples

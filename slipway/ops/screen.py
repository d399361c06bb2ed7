"""The screen of `make top`: a table with one row per worker slot, redrawn every second. Needs rich."""

import os
import sys
import time
from contextlib import suppress

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from slipway.ops.console import Failure, say
from slipway.ops.runtime import Runtime
from slipway.ops.samples import Samples, quantile
from slipway.ops.settings import StackSettings
from slipway.ops.verbs import choose

SECONDS = 1.0  # between two scrapes
DURATION = "http_server_request_duration_seconds"
PROXIED = "nginx_http_requests_total"
COLUMNS = (
    "slot",
    "req/s",
    "5xx/s",
    "p50 ms",
    "p99 ms",
    "open",
    "sockets",
    "queue",
    "MiB",
    "CPU %",
    "lag ms",
)  # 80 columns wide
MIB = 1 << 20


def main() -> None:
    """Redraw until interrupted, or draw once with ONCE=1."""
    runtime = choose(StackSettings.load_leniently(say), lenient=True)
    before, since = Samples(runtime.ask("metrics")), time.monotonic()
    if os.environ.get("ONCE"):
        Console().print(_looked(runtime, before, since)[0])
        return
    with suppress(KeyboardInterrupt), Live(auto_refresh=False, screen=sys.stdout.isatty()) as live:
        while True:
            picture, before, since = _looked(runtime, before, since)
            live.update(picture, refresh=True)


def _looked(runtime: Runtime, before: Samples, since: float) -> tuple[Group, Samples, float]:
    """Wait a second; return the picture, and the scrape and the time from which the next one begins."""
    time.sleep(SECONDS)
    after, now = Samples(runtime.ask("metrics")), time.monotonic()
    return drawn(before, after, now - since), after, now


def drawn(before: Samples, after: Samples, seconds: float) -> Group:
    """Return the picture of the activity between two scrapes."""
    table = Table(*COLUMNS, box=None, pad_edge=False)
    for slot in after.values("slipway_worker_cpu_seconds_total", "slot"):
        table.add_row(*row(before, after, seconds, slot))
    ready, wanted = after.sum("slipway_workers_ready"), after.sum("slipway_workers")
    ends = {cause: after.sum("slipway_worker_restarts_total", cause=cause) for cause in _causes(after)}
    told = ", ".join(f"{cause} {count:.0f}" for cause, count in ends.items() if count) or "none"
    done, refused = (after.sum("slipway_reloads_total", result=result) for result in ("done", "refused"))
    return Group(
        Text(f"{ready:.0f} of {wanted:.0f} workers ready · reloads: {done:.0f} done, {refused:.0f} refused"),
        Text(f"workers that have ended: {told}"),
        *_proxy(before, after, seconds),
        table,
    )


def _proxy(before: Samples, after: Samples, seconds: float) -> list[Text]:
    """Return a line about nginx if the metrics have its figures; the request of the scrape itself is not counted."""
    if not after.has("nginx_up"):
        return []
    if not after.sum("nginx_up"):
        return [Text("nginx: does not answer")]
    rate = max(0.0, after.sum(PROXIED) - before.sum(PROXIED) - 1) / seconds
    active, waiting = (after.sum(f"nginx_connections_{name}") for name in ("active", "waiting"))
    lost = after.sum("nginx_connections_accepted_total") - after.sum("nginx_connections_handled_total")
    return [Text(f"nginx: {active:.0f} connections ({waiting:.0f} waiting), {rate:.0f} req/s, no room for {lost:.0f}")]


def row(before: Samples, after: Samples, seconds: float, slot: str) -> list[str]:
    """Return the cells of one slot."""

    def rate(name: str, **labels: str) -> float:
        return max(0.0, after.sum(name, slot=slot, **labels) - before.sum(name, slot=slot, **labels)) / seconds

    def at(share: float, name: str) -> str:
        found = quantile(share, before.buckets(name, slot=slot), after.buckets(name, slot=slot))
        return "-" if found is None else f"{found * 1_000:.1f}"

    return [
        slot,
        f"{rate(f'{DURATION}_count'):.0f}",
        f"{rate(f'{DURATION}_count', http_response_status_class='5xx'):.0f}",
        at(0.5, DURATION),
        at(0.99, DURATION),
        f"{sum(after.sum(name, slot=slot) for name in ('http_server_active_requests', 'slipway_active_streams')):.0f}",
        f"{after.sum('slipway_active_websockets', slot=slot):.0f}",
        f"{after.sum('slipway_listener_queue_length', slot=slot):.0f}",
        f"{after.sum('slipway_worker_resident_memory_bytes', slot=slot) / MIB:.0f}",
        f"{rate('slipway_worker_cpu_seconds_total') * 100:.0f}",
        at(0.99, "slipway_event_loop_lag_seconds"),
    ]


def _causes(samples: Samples) -> list[str]:
    return samples.values("slipway_worker_restarts_total", "cause")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        sys.exit(str(failure))

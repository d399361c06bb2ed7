"""One run of wrk with the CPU time of the servers."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.load import wrk
from bench.load.wrk import Peak, RequestTemplate
from bench.run import machine
from bench.run.processes import ManagedProcess


@dataclass(frozen=True, slots=True)
class Measurement:
    """The figures of one run; `microseconds` is the CPU time per request of all server processes."""

    peak: Peak
    microseconds: float


def measure(
    origin: str, request: RequestTemplate, servers: Sequence[ManagedProcess], *, seconds: float, cpus: machine.Cpus
) -> Measurement:
    """Run wrk on the generator's processor; read the servers' CPU time before and after."""
    pids = [pid for server in servers for pid in machine.tree(server.pid)]
    before = machine.cpu_seconds(pids)
    peak = wrk.run(origin, request, seconds=seconds, cpus=cpus.generator)
    return Measurement(peak, (machine.cpu_seconds(pids) - before) * 1e6 / max(1, peak.requests))

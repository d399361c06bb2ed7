"""One wrk run with the CPU time that the servers used for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench.load import wrk
from bench.load.wrk import Call, Peak
from bench.run import machine
from bench.run.processes import Process


@dataclass(frozen=True, slots=True)
class Weighed:
    """A run's figures; `microseconds` is the CPU time of all processes of the server per request."""

    peak: Peak
    microseconds: float


def weigh(origin: str, call: Call, servers: Sequence[Process], *, seconds: float, cpus: machine.Cpus) -> Weighed:
    """Run wrk on the generator's processor and read the servers' CPU time before and after."""
    pids = [pid for server in servers for pid in machine.tree(server.pid)]
    before = machine.cpu_seconds(pids)
    peak = wrk.run(origin, call, seconds=seconds, cpus=cpus.generator)
    return Weighed(peak, (machine.cpu_seconds(pids) - before) * 1e6 / max(1, peak.requests))

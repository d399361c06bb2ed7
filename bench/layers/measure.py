"""One wrk run with the CPU time that the servers used for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from bench import machine, wrk
from bench.processes import Process
from bench.wrk import Call, Peak


@dataclass(frozen=True, slots=True)
class Weighed:
    """A run's figures; `microseconds` is the CPU time of all processes of the server per request."""

    peak: Peak
    microseconds: float
    each: tuple[float, ...]  # the same for each process tree
    generator_busy: float
    stolen: float


def weigh(origin: str, call: Call, servers: Sequence[Process], *, seconds: int, cpus: machine.Cpus) -> Weighed:
    """Run wrk on the generator's processor and read the servers' CPU time before and after."""
    trees = [machine.tree(server.pid) for server in servers]
    before, used = machine.cpu_times(), [machine.cpu_seconds(pids) for pids in trees]
    peak = wrk.run(origin, call, seconds=seconds, cpus=cpus.generator)
    after = [machine.cpu_seconds(pids) for pids in trees]
    shares = machine.shares(before, machine.cpu_times())
    each = tuple((end - start) * 1e6 / max(1, peak.requests) for start, end in zip(used, after, strict=True))
    busy = max((shares[cpu][0] for cpu in cpus.generator), default=0.0)
    return Weighed(peak, sum(each), each, busy, max(share[1] for share in shares.values()))

"""The options that this folder adds to locust's own. Each can also be set by the environment, as locust's can."""

import math
import re
from argparse import ArgumentParser
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from loadtest._limits import Limit
from loadtest._stages import Stages

# exit codes; 0 and 1 are locust's own: no failure, or some
WRONG_OPTION, NOT_READY, TOO_SLOW, OVER_LIMIT, LOST_PROCESS = 2, 3, 4, 5, 6


def add(parser: ArgumentParser, **_: Any) -> None:
    """Add the options; called by locust. Values stay texts: for a wrong one argparse would print a page of usage."""

    own = partial(_option, parser)
    own("rate", "requests per second of each user (default: each class's own)")
    own("warmup", "seconds whose requests are not in the latency table", default="0")
    own("record", "write the histograms of both latencies to this file (JSON)")
    own("stages", "users over time, steps and spikes: 20:30s,200:10s,20:30s")
    limits = '"p95>200" (ms), "failures>0.1%%", "missed>0", "GET /api/users: p99>300"; may be repeated'
    own("fail-if", f"end with {OVER_LIMIT} if so: {limits}", default=[], action="append", include_in_web_ui=False)
    codes = f"{TOO_SLOW} when the generator was overloaded, {LOST_PROCESS} when one of its processes was lost"
    own("strict", f"end with {codes}", default=False, action="store_true")


def _option(parser: ArgumentParser, name: str, text: str, default: Any = "", **more: Any) -> None:
    variable = f"LOCUST_{name.upper().replace('-', '_')}"
    parser.add_argument(f"--{name}", env_var=variable, help=text, default=default, **more)


class Wrong(Exception):
    """An option has an invalid value; the text names the option and the allowed values."""


@dataclass(frozen=True)
class Chosen:
    """The values of the options."""

    rate: float = 0.0  # per second and user; 0 leaves each class its own
    warmup: float = 0.0  # seconds
    record: Path | None = None
    limits: tuple[Limit, ...] = ()
    stages: Stages | None = None
    strict: bool = False


def read(options: Any) -> Chosen:
    """Read the options from the command line or from locust's page; raises Wrong."""
    chosen = Chosen(
        rate=number("--rate", options.rate, least=0, above=True) if options.rate else 0.0,
        warmup=number("--warmup", options.warmup or "0", least=0),
        record=Path(options.record).absolute() if options.record else None,
        limits=tuple(parsed(Limit, "--fail-if", text) for text in listed(options.fail_if)),
        stages=parsed(Stages, "--stages", options.stages) if options.stages else None,
        strict=options.strict,
    )
    run_time = seconds(options.run_time) if options.run_time else None
    if chosen.stages and run_time is not None:
        raise Wrong(f"--stages is {options.stages}, and --run-time {run_time:g} s says another length: leave one out")
    length = chosen.stages.seconds if chosen.stages else run_time
    if length is not None and chosen.warmup >= length:
        raise Wrong(
            f"--warmup is {chosen.warmup:g} s and the test {length:g} s: nothing would be measured; make it shorter"
        )
    if chosen.record and not chosen.record.parent.is_dir():
        raise Wrong(f"--record is {options.record}: there is no folder {chosen.record.parent}; make it first")
    return chosen


_chosen = [Chosen()]


def chosen() -> Chosen:
    """Return the options in force in this process."""
    return _chosen[0]


def choose(options: Any) -> None:
    """Put these options into force; raises Wrong."""
    _chosen[0] = read(options)


def number(name: str, text: str, *, least: float, above: bool = False) -> float:
    """Parse a finite number that is at least, or above, a bound; raises Wrong."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < least or (above and value == least):
        raise Wrong(f"{name} is {text}: allowed is a number {'above' if above else 'of at least'} {least:g}")
    return value


def seconds(run_time: Any) -> float:
    """Return locust's run time, which locust gives as a number or as a text such as 1m30s."""
    if not isinstance(run_time, str):
        return float(run_time)
    parts = re.findall(r"(\d+)([hms]?)", run_time)
    return float(sum(int(count) * {"h": 3600, "m": 60}.get(unit, 1) for count, unit in parts))


def listed(value: Any) -> list[str]:
    """Return the values of an option that may be repeated; an environment variable gives one text."""
    return [value] if isinstance(value, str) else list(value)


def parsed(kind: Any, name: str, text: str) -> Any:
    """Return an option's value, parsed by a class that has `parse`; raises Wrong."""
    try:
        return kind.parse(text)
    except ValueError as error:
        raise Wrong(f"{name} is {text}: {error}") from None

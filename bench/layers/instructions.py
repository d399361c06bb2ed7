"""Instructions of the app's part of a request, counted by valgrind: the same on a busy machine as on an idle one.

`python -m bench.layers.instructions` prints each layer; with `--commit` it writes the figures that `make test` checks.
The app's part is a request's instructions minus those of the bare app, in units of `apps/yardstick.py`. Between Python
builds with and without optimisation the instructions differ by 20 %, these figures by less than 3 %.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bench.layers.counted import REQUESTS
from slipway.ops.settings import ROOT

FIGURES = Path(__file__).with_name("instructions.json")
REQUESTS_EACH = 200
TOLERANCE = 0.02
SECONDS = 300


def count(requests: int = REQUESTS_EACH) -> dict[str, float]:
    """Return the instructions per request of each case of `counted.py`."""
    with tempfile.TemporaryDirectory(prefix="instructions-") as folder:
        command = [
            "valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={folder}/%p",
            sys.executable, "-m", "bench.layers.counted", str(requests),
        ]  # fmt: skip
        # The hashes determine the layout of a dict, and so the number of probes of a look-up.
        env = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=SECONDS)
        if done.returncode:
            sys.exit(f"valgrind failed:\n{done.stderr[-2_000:]}")
        pids = [line.partition(" ") for line in done.stdout.splitlines()]
        totals = {case: _total(Path(folder, pid)) for pid, _, case in pids}
    return {case: (total - totals["nothing"]) / requests for case, total in totals.items() if case != "nothing"}


def _total(file: Path) -> int:
    return int(file.read_text().rpartition("summary:")[2])


def parts(counts: Mapping[str, float]) -> dict[str, float]:
    """The app's part of each request, in yardsticks."""
    return {
        name: (counts[f"{name} app"] - counts[f"{name} bare"]) / (counts[f"{name} yardstick"] - counts[f"{name} bare"])
        for name in REQUESTS
    }


def build() -> str:
    """Return the Python version and processor type that the figures hold for."""
    return f"Python {sys.version_info.major}.{sys.version_info.minor} {platform.machine()}"


def committed() -> dict[str, dict[str, float]]:
    """The committed figures by build."""
    figures: dict[str, dict[str, float]] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    return figures


def too_dear(found: Mapping[str, float], figures: Mapping[str, float]) -> dict[str, str]:
    """Return the requests above the tolerance, each with its present and its committed cost."""
    return {
        name: f"{part:.3f} yardsticks, {part / figures[name] - 1:+.1%} against the committed {figures[name]:.3f}"
        for name, part in found.items()
        if part > figures[name] * (1 + TOLERANCE)
    }


def main() -> None:
    """Print the table; write the figures if asked to."""
    counts = count()
    for case, instructions in counts.items():
        name = case.partition(" ")[0]
        print(f"{case:28}{instructions:10,.0f}{instructions - counts[f'{name} bare']:10,.0f} more than the bare app")
    found = parts(counts)
    print(
        build(),
        {name: round(part, 3) for name, part in found.items()},
        "yardsticks; committed:",
        committed().get(build()),
    )
    if "--commit" in sys.argv:
        figures = {**committed(), build(): {name: round(part, 3) for name, part in found.items()}}
        FIGURES.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()

"""`python -m tests.promises [NAME ...]`: each promise at full size, as a table: promise, seen, whether it holds.

Exit code 1 if one does not hold. `python -m tests.promises list` names the parts.
"""

import signal
import sys
import time
from collections.abc import AsyncIterator, Callable

import uvloop

from tests.promises import balance, endurance, state_runs
from tests.promises.promise import Row

PARTS: dict[str, Callable[[], AsyncIterator[Row]]] = {
    "websockets": balance.websockets,
    "requests": balance.requests,
    "mixed": balance.mixed,
    "stop": endurance.stop,
    "reloads": endurance.reloads,
    "kills": endurance.kills,
    "database": endurance.kills_without_database,
    "recycling": endurance.recycling,
    **state_runs.PARTS,
}


def main() -> None:
    """Run the parts that are named, or all."""
    names = sys.argv[1:] or list(PARTS)
    if unknown := set(names) - PARTS.keys():
        sys.exit(f"{', '.join(sorted(unknown))}: not one of {', '.join(PARTS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    rows = uvloop.run(_run(names))  # the generator must not be what is measured
    width = max(len(row.promise) for row in rows)
    print()
    for row in rows:
        print(f"  {'kept  ' if row.kept else 'BROKEN'}  {row.promise:{width}}  {row.seen}")
    if not all(row.kept for row in rows):
        sys.exit(1)


async def _run(names: list[str]) -> list[Row]:
    rows = []
    for name in names:
        start = time.monotonic()
        print(f"{name} …", flush=True)
        async for row in PARTS[name]():
            print(f"  {row.seen}", flush=True)
            rows.append(row)
        print(f"  {time.monotonic() - start:.0f} s", flush=True)
    return rows


if __name__ == "__main__":
    main()

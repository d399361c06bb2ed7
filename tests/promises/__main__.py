"""`python -m tests.promises [NAME ...]`: checks each promise at full size and prints the table of them.

The exit code is 1 if one does not hold. An unknown name is refused with the list.
"""

import signal
import sys
import time
from collections.abc import Sequence

import uvloop

from tests.promises.promise import Row, all_kept, table
from tests.promises.promises import PARTS


def main() -> None:
    """Run the named parts, or all."""
    names = sys.argv[1:] or [*PARTS]
    if unknown := set(names) - PARTS.keys():
        sys.exit(f"{', '.join(sorted(unknown))}: not one of {', '.join(PARTS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    rows = uvloop.run(_run(names))  # so that the generator is not the bottleneck
    print(f"\n{table(rows)}")
    if not all_kept(rows):
        sys.exit(1)


async def _run(names: Sequence[str]) -> list[Row]:
    rows = []
    for name in names:
        start = time.monotonic()
        print(f"{name} …", flush=True)
        async for row in PARTS[name].run_full():
            print(f"  {row.seen}", flush=True)
            rows.append(row)
        print(f"  {time.monotonic() - start:.0f} s", flush=True)
    return rows


if __name__ == "__main__":
    main()

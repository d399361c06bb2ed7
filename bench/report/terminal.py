"""The console on which tables are printed."""

import sys

from rich.console import Console

WIDE = 100  # columns, without a terminal


def console() -> Console:
    """Return a console as wide as the terminal, or WIDE for a file or pipe."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)

"""The console that tables are printed on."""

import sys

from rich.console import Console

WIDE = 150  # columns, without a terminal


def console() -> Console:
    """A console as wide as the terminal; in a file or pipe wide enough for every table."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)

"""The console that tables are printed on."""

import sys

from rich.console import Console

WIDE = 100  # columns, without a terminal


def console() -> Console:
    """A console as wide as the terminal; in a file or pipe as wide as the tables need."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)

"""Where tables are printed."""

import sys

from rich.console import Console

WIDE = 150  # columns, where there is no terminal to ask


def console() -> Console:
    """As wide as the terminal; in a file or a pipe wide enough for every table."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)

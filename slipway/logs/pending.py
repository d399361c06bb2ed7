"""Pending lines: finished ones, and functions that make lines when they are written."""

from collections.abc import Callable, Sequence

from slipway.logs.lines import record

Make = Callable[[], bytes]  # returns lines, with their newlines; b"" for none
Render = Callable[[bytes], bytes]  # of one line


def joined(lines: Sequence[bytes | Make], render: Render | None) -> bytes:
    """Return all lines, each as `render` makes it. Raises nothing: a `Make` that fails leaves a record instead."""
    data = b"".join(each if isinstance(each, bytes) else _made(each) for each in lines)
    return data if render is None else b"".join(map(render, data.splitlines(keepends=True)))


def told(dropped: int) -> bytes:
    """Return the record that says how many lines were lost."""
    message = f"{dropped} lines were dropped: stdout took nothing"
    return record("WARNING", "slipway.logs", message, dropped=dropped)


def _made(make: Make) -> bytes:
    try:
        return make()
    except Exception as error:  # such as no memory; it would end the thread and with it the log
        return record("ERROR", "slipway.logs", f"lines could not be made: {type(error).__name__}")

"""Lines that wait to be written: some as they are, some yet to be made."""

from collections.abc import Callable, Sequence

from slipway.logs.lines import record

Make = Callable[[], bytes]  # returns lines, with their newlines; b"" for none
Render = Callable[[bytes], bytes]  # of one line


def joined(lines: Sequence[bytes | Make], render: Render | None) -> bytes:
    """All of them, each line as `render` makes it. Raises nothing: what can't be made is told of."""
    data = b"".join(each if isinstance(each, bytes) else _made(each) for each in lines)
    return data if render is None else b"".join(map(render, data.splitlines(keepends=True)))


def told(dropped: int) -> bytes:
    """The record of lines that were lost."""
    message = f"{dropped} lines were dropped: stdout took nothing"
    return record("WARNING", "slipway.logs", message, dropped=dropped)


def _made(make: Make) -> bytes:
    try:
        return make()
    except Exception as error:  # no memory; without its thread the log would end
        return record("ERROR", "slipway.logs", f"lines could not be made: {type(error).__name__}")

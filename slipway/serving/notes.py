"""What a worker says of a startup that has failed."""

import logging


class FirstError(logging.Handler):
    """Keeps the first error of a startup; the arbiter passes it on to the caller of a reload."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info and record.exc_info[1]
        self.text = self.text or (f"{type(error).__name__}: {error}" if error else record.getMessage())

"""The reason why a worker's startup has failed."""

import logging
import traceback

from slipway.project import ROOT
from slipway.tracebacks import brief


class FirstError(logging.Handler):
    """Keeps the first error of a startup, with file and line; the arbiter passes it on to the caller of a reload."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        if not self.text:
            error = record.exc_info and record.exc_info[1]
            text = "".join(traceback.format_exception(error)) if error else record.getMessage()
            self.text = brief(text, ROOT)

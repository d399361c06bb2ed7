"""Log records written while descriptors 1 and 2 become pipes."""

import subprocess
import sys
from pathlib import Path

from slipway.project import ROOT
from tests.harness.talking import strict

# The descriptors are replaced one after the other. Other threads may log in between, which `fileno` does here.
PROGRAM = """
import logging, sys
from slipway.logs import capture, writer
from slipway.logs.handler import Formatter, Handler

class Asked:
    def __init__(self, file):
        self.file = file

    def fileno(self):
        logging.warning("meanwhile")
        writer.flush()
        return self.file.fileno()

handler = Handler()
handler.setFormatter(Formatter("%(message)s"))
logging.getLogger().addHandler(handler)
sys.__stdout__, sys.__stderr__ = Asked(sys.__stdout__), Asked(sys.__stderr__)
capture.take_over()
"""


def test_records_meanwhile_stay_records(tmp_path: Path) -> None:
    """A record never goes into the pipe for the output of programs, which would wrap it in another record."""
    log = tmp_path / "log"
    with log.open("ab") as output:
        subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=output, check=True, timeout=20)
    records = [strict(line) for line in log.read_bytes().splitlines()]

    assert {(record["logger"], record["message"]) for record in records} == {("root", "meanwhile")}

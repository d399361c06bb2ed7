"""Runs a verb that goes on until it is interrupted, such as `make logs`: reads its output and ends it by Ctrl-C."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

SECONDS = 30.0


def followed(verb: str, root: Path, environment: Mapping[str, str], mark: str, count: int) -> list[str]:
    """Return the lines that `make VERB` prints; once `mark` came `count` times, its process group gets SIGINT."""
    process = subprocess.Popen(
        ["make", f"PYTHON={sys.executable}", verb],
        cwd=root,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        process_group=0,
    )
    assert process.stdout is not None
    said, deadline = b"", time.monotonic() + SECONDS
    while said.count(mark.encode()) < count and (left := deadline - time.monotonic()) > 0:
        if select.select([process.stdout], [], [], left)[0]:
            more = os.read(process.stdout.fileno(), 65_536)
            if not more:
                break
            said += more
    os.killpg(process.pid, signal.SIGINT)
    rest, _ = process.communicate(timeout=SECONDS)
    return (said + rest).decode().splitlines()

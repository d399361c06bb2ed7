"""A verb ends when the program that it has started ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from slipway.ops import wait
from slipway.ops.settings import ROOT

MODULE = """
import signal, sys, time
from pathlib import Path

def end(number, frame):
    time.sleep(1)  # the work under test: as long as it takes to stop servers
    Path("{folder}/ended").touch()
    sys.exit(7)

signal.signal(signal.SIGINT, end)
Path("{folder}/started").touch()
time.sleep(30)  # the signal ends it; without one it ends by itself
"""


def test_ctrl_c_leaves_the_module_time_to_clean_up(tmp_path: Path) -> None:
    """On SIGINT to both, as from a terminal, the module stops what it has started, and its exit code counts."""
    (tmp_path / "slow_to_end.py").write_text(MODULE.format(folder=tmp_path))
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = [sys.executable, "-c", "from slipway.ops import tools; tools.run('slow_to_end')"]
    process = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True)
    try:
        assert wait.until((tmp_path / "started").exists, 10)
        os.killpg(process.pid, signal.SIGINT)

        assert process.wait(10) == 7
        assert (tmp_path / "ended").exists()
    finally:
        process.kill()
        process.wait()

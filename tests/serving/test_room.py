"""The limit of open files, which the server raises."""

import subprocess
import sys

import pytest

from slipway.serving.room import MOST

PROGRAM = """
import resource, sys
from slipway.serving.room import take_descriptors
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
take_descriptors()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard"), [(256, 2_048), (1_024, 1_024), (64, 512)])
def test_soft_limit_becomes_the_hard_one(soft: int, hard: int) -> None:
    """The soft limit is raised to the hard one: some engines start a container with few open files, but allow more."""
    command = [sys.executable, "-c", PROGRAM, str(soft), str(hard)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.split() == [str(hard)] * 2
    assert hard < MOST

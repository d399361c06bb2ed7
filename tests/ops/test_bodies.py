"""The calculation of the room for incoming bodies, in both runtimes."""

import re
import subprocess
from pathlib import Path

import pytest

from slipway.ops import bodies, nginx
from slipway.ops.settings import ROOT

ROOMS = (1 << 20, 64 << 20, nginx.BODY_ROOM)
SIZES = (1, 10_000, 1 << 20, 100 << 20, 1 << 30)
NAMES = [f"{size}_BODIES{of}" for size in ("MEDIUM", "LARGE") for of in ("", "_OF_CLIENT")]


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("largest", SIZES)
def test_bodies_fit_into_the_room(room: int, largest: int) -> None:
    """All bodies admitted at once fit into the room, unless a single one is too large; each size has a place."""
    limits = {name: int(value) for name, value in bodies.limits(room, largest).items()}
    medium, large = limits["MEDIUM_BODIES"], limits["LARGE_BODIES"]

    assert all(0 < limit < 1 << 16 for limit in limits.values())
    assert medium * bodies.MEDIUM_BYTES <= room // 4
    assert large == 1 or large * largest <= room * 3 // 4


def test_one_client_leaves_a_third(tmp_path: Path) -> None:
    """With the default room 300 bodies of a client fit, and others have at least a hundred left, of each size."""
    limits = {name: int(value) for name, value in bodies.limits(nginx.BODY_ROOM, 1 << 20).items()}

    for size in ("MEDIUM", "LARGE"):
        assert limits[f"{size}_BODIES"] - limits[f"{size}_BODIES_OF_CLIENT"] >= 100
    assert limits["LARGE_BODIES_OF_CLIENT"] > 300


def test_both_runtimes_have_the_same_room() -> None:
    """docker-compose.yml has the room that the local runtime calculates with."""
    assert bodies.container_room() == nginx.BODY_ROOM


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize("largest", SIZES)
def test_container_does_the_same_sums(tmp_path: Path, room: int, largest: int) -> None:
    """container.sh calculates the same limits from the room that `df` reports."""
    text = (ROOT / "nginx" / "container.sh").read_text()
    found = re.search(r"^room=.*?^export MEDIUM_BODIES.*?$", text, re.MULTILINE | re.DOTALL)
    assert found
    script = f"df() {{ echo; echo tmpfs {room // 1024} 0 0 0% /; }}\n{found[0]}\n"
    show = "; ".join(f"echo {name}=${name}" for name in NAMES)
    environment = {"PATH": "/usr/bin:/bin", "WORK_DIR": str(tmp_path), "MAX_BODY_BYTES": str(largest)}
    done = subprocess.run(["sh", "-euc", script + show], env=environment, capture_output=True, text=True, check=True)

    assert dict(line.split("=") for line in done.stdout.split()) == bodies.limits(room, largest)

"""How many request bodies nginx may receive at the same time, so that their files fit into the space for them.

nginx/container.sh computes the same in the image, from the size of the file system there; a test compares them.
"""

import re

from slipway.ops.settings import ROOT

MEDIUM_BYTES = 100_000  # nginx/bodies.conf has the sizes
MOST = 65_535  # largest limit that nginx accepts


def container_room() -> int:
    """Return the size in bytes of the file system for bodies in nginx's container."""
    found = re.search(r"/client_body:\S*\bsize=(\d+)m", (ROOT / "docker-compose.yml").read_text())
    return int(found[1]) << 20 if found else 0


def limits(room: int, largest: int) -> dict[str, str]:
    """Return nginx's limits, for bodies of at most `largest` bytes.

    Medium bodies get a quarter of the room, large ones the rest. One client gets at most two thirds of each limit.
    """
    usable = room * 15 // 16  # files take whole pages
    medium = _count(usable // 4, MEDIUM_BYTES)
    large = _count(largest_share(room), largest)
    return {
        "MEDIUM_BODIES": str(medium),
        "MEDIUM_BODIES_OF_CLIENT": str(max(1, medium * 2 // 3)),
        "LARGE_BODIES": str(large),
        "LARGE_BODIES_OF_CLIENT": str(max(1, large * 2 // 3)),
    }


def largest_share(room: int) -> int:
    """Return the bytes for large bodies, which a single one may fill."""
    return room * 15 // 16 * 3 // 4


def _count(room: int, size: int) -> int:
    return min(MOST, max(1, room // size))

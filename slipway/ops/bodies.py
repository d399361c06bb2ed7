"""How many bodies may arrive at nginx at the same time, so that their files fit into the room for them.

nginx/container.sh does the same sums in the image, by the size of the file system there; a test compares them.
"""

import re

from slipway.ops.settings import ROOT

MEDIUM_BYTES = 100_000  # nginx/bodies.conf has the sizes
MOST = 65_535  # that nginx takes for a limit


def container_room() -> int:
    """The bytes of the file system for them in nginx's container."""
    found = re.search(r"/client_body:\S*\bsize=(\d+)m", (ROOT / "docker-compose.yml").read_text())
    return int(found[1]) << 20 if found else 0


def limits(room: int, largest: int) -> dict[str, str]:
    """nginx's limits for bodies of up to `largest` bytes: a quarter of the room is for medium ones, the rest for large.

    One client gets two thirds of each.
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
    """The bytes for large ones, which a single one may have."""
    return room * 15 // 16 * 3 // 4


def _count(room: int, size: int) -> int:
    return min(MOST, max(1, room // size))

"""Whether a worker has descriptors left for new connections.

Stock behaviour that this replaces: without a free descriptor libuv accepts each client with its reserve descriptor and
closes the connection at once. A worker that stops listening in time leaves clients in the arbiter's queue.
"""

import os
import resource

MOST = 65_536  # three times as many as all of a worker's limits allow
SPARE = 32  # kept for connections between two looks, for files, and for the shutdown


def take_descriptors() -> None:
    """Raise the soft limit of open files to the hard one, at most to MOST: some engines start containers with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Room:
    """Looks for free descriptors; after a shortage twice as many must be free."""

    def __init__(self) -> None:
        self.is_short = False

    def look(self, descriptor: int, connections: int) -> bool:
        """Whether too few are free; with few connections a test for one free descriptor is enough, and cheaper."""
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY:
            return False
        spare = min(SPARE, soft // 4)
        wanted = spare if self.is_short or connections > soft // 2 - spare else 1
        self.is_short = not _are_free(descriptor, 2 * wanted if self.is_short else wanted)
        return self.is_short


def _are_free(descriptor: int, wanted: int) -> bool:
    taken: list[int] = []
    try:
        taken += (os.dup(descriptor) for _ in range(wanted))
    except OSError:
        return False
    finally:
        for each in taken:
            os.close(each)
    return True

"""A host name whose addresses change: programs in their own mount namespace see a hosts file that a test writes."""

from collections.abc import Sequence
from pathlib import Path

MOUNT = 'mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/nsswitch.conf" /etc/nsswitch.conf && exec "$@"'


class MovingName:
    """A host name with one or more addresses; creating its mount namespace needs root."""

    def __init__(self, folder: Path, name: str, *addresses: str) -> None:
        self.name = name
        self._folder = folder
        self._file = folder / "hosts"
        self._file.touch(mode=0o644)
        (folder / "nsswitch.conf").write_text("hosts: files\n")  # no name server is asked
        self.move(*addresses)

    def move(self, *addresses: str) -> None:
        """Replace its addresses."""
        lines = [f"{address} {self.name}\n" for address in addresses]
        with self._file.open("r+b") as file:  # in place: the mount is of this very file
            size = file.write("".join(lines).encode())
            file.truncate(size)

    def seen_by(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs a program with this name in its hosts file."""
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", MOUNT, str(self._folder), *command]

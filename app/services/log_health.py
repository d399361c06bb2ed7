"""Whether the log can be read and written, by the outcome of the last calls."""

from dataclasses import dataclass

from .errors import Full


@dataclass(slots=True)
class LogHealth:
    """The state of the log: not available until a read and a write have succeeded."""

    reads: bool = False  # whether the last read succeeded
    writes: bool = False
    no_room: bool = False  # whether the last failure said that there is no room

    @property
    def available(self) -> bool:
        return self.reads and self.writes

    @property
    def full(self) -> bool:
        return self.no_room and not self.available

    def succeeded(self, *, reads: bool = False, writes: bool = False) -> None:
        self.reads = self.reads or reads
        self.writes = self.writes or writes

    def failed(self, error: Exception, *, reads: bool = False, writes: bool = False) -> None:
        """Note a failed read or write."""
        self.reads = self.reads and not reads
        self.writes = self.writes and not writes
        self.no_room = isinstance(error, Full)

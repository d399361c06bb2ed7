"""A resource that lives as long as a worker, like a pool of database connections."""

from types import TracebackType


class Warehouse:
    """Items by number, in the memory of one worker; a real app would use a database."""

    def __init__(self) -> None:
        self.is_open = False
        self._names: dict[int, str] = {}

    async def __aenter__(self) -> "Warehouse":
        self.is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_open = False

    def take(self, name: str) -> int:
        """Add an item and return its number."""
        number = len(self._names) + 1
        self._names[number] = name
        return number

    def name_of(self, number: int) -> str:
        """Return the item's name."""
        return self._names.get(number, f"item {number}")

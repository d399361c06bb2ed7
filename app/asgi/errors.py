"""The toolkit's exceptions."""

from collections.abc import Mapping, Sequence
from typing import Any

from .types import Header


class HTTPError(Exception):
    """An error with an HTTP status; the client gets it as application/problem+json."""

    def __init__(
        self, status: int, detail: str = "", *, headers: Sequence[Header] = (), members: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.headers = headers
        self.members = members or {}


class Disconnected(Exception):
    """The client went away before the exchange was complete."""

    def __init__(self, code: int = 1006) -> None:
        super().__init__(code)
        self.code = code

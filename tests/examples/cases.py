"""The examples: the features that each of them has, and the services that it needs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """A folder of examples/, and the rows of the table that it leaves out, with the reason beside it."""

    name: str
    without: tuple[str, ...] = ()
    redis: bool = False
    in_test: bool = False
    """Whether `make test` has it; the others are of the same kinds, and `make suites` has them."""

    def has(self, row: str) -> bool:
        return row not in self.without


EXAMPLES = (
    # HTTP only, with the same answer to every request.
    Example("raw", without=("routes", "websocket", "events", "lifespan")),
    Example("asgi2"),
    Example("starlette"),
    Example("fastapi", in_test=True),
    # Django has no lifespan.
    Example("django", without=("lifespan",), redis=True, in_test=True),
    Example("quart"),
    # WSGI has no websockets and no lifespan.
    Example("flask", without=("websocket", "lifespan"), in_test=True),
)

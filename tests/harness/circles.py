"""Whether an app leaves objects of a request to the garbage collector."""

import gc
import weakref
from typing import Any

from tests.harness.driver import http_scope


async def outlives_its_request(app: Any) -> bool:
    """Return whether an object with the scope, such as a server's `send`, is still there with the collector off."""

    async def receive() -> Any:
        raise AssertionError

    class ScopeHolder:
        def __init__(self) -> None:
            self.scope = http_scope("GET", "/")

        async def send(self, message: Any) -> None:
            pass

    holder = ScopeHolder()
    known = weakref.ref(holder)
    gc.disable()
    try:
        await app(holder.scope, receive, holder.send)
        del holder
        return known() is not None
    finally:
        gc.enable()

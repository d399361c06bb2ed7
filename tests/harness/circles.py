"""Whether an app leaves something of a request for the garbage collector."""

import gc
import weakref
from typing import Any

from tests.harness.driver import http_scope


async def outlives_its_request(app: Any) -> bool:
    """Whether what knows the scope, as a server's `send` does, is still there after a request, without a collector."""

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

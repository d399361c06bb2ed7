"""The app for servers without a hook at a worker's end: at lifespan shutdown it writes its count of requests.

Only the lifespan is wrapped: a request takes the same path as under the other arms.
"""

import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from app.asgi.lifespan import Lifespan
from app.asgi.standalone import Standalone
from app.main import application as shipped
from bench.run.counters import save_count, save_start

lifespan = cast(Lifespan, shipped)
standalone = cast(Standalone, lifespan.app)


@asynccontextmanager
async def counted(state: dict[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
    """Run the app's lifespan, then write its count. A worker that is stopped before its startup writes none."""
    async with lifespan.context(state) as added:
        # When one worker has ended, hypercorn sends SIGTERM to the others, which have no handler for it.
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        save_start()
        yield added
    save_count(standalone.total)


application = Lifespan(standalone, counted)

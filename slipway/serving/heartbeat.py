"""A worker's heartbeat, sent by its loop while the arbiter lives; a worker without its arbiter ends."""

import asyncio
import os
import threading
from collections.abc import Callable

from slipway.logs import writer
from slipway.serving import drain

BEAT_SECONDS = 0.5
REST_SECONDS = 1.0  # for an idle worker, whose server then ticks at this rate, too
LOG_SECONDS = 0.2  # to write the log before a forced exit
ORPHAN_SECONDS = drain.QUICK_END_SECONDS + 0.1  # to end without the arbiter, which can no longer kill the worker


async def beat(
    arbiter: int, step: Callable[[], None], late: Callable[[float], None], rests: Callable[[], bool]
) -> None:
    """Call `step` twice a second, or once if `rests()`, and tell `late` the loop's lag, until the arbiter is gone."""
    clock = asyncio.get_running_loop().time
    while os.getppid() == arbiter:
        step()
        period = REST_SECONDS if rests() else BEAT_SECONDS
        due = (clock() // period + 1) * period  # aligned, so that one wake-up also serves apps' once-a-second work
        await asyncio.sleep(due - clock())
        late(max(0.0, clock() - due))


def leave_in_time() -> None:
    """End the process after ORPHAN_SECONDS, whatever hangs."""
    end = threading.Timer(ORPHAN_SECONDS, _exit)
    end.daemon = True
    end.start()


def _exit() -> None:
    """Write the log, then exit."""
    writer.flush(LOG_SECONDS)
    os._exit(1)

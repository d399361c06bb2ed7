"""A worker's heartbeat: the loop turns and the arbiter lives; a worker whose arbiter is gone ends."""

import asyncio
import os
import threading
from collections.abc import Callable

from slipway.logs import writer

BEAT_SECONDS = 0.5
REST_SECONDS = 1.0  # while nothing goes on; the server looks around as seldom then
LOG_SECONDS = 0.2  # to write the log if the worker has to leave by force
ORPHAN_SECONDS = 2.0  # a worker whose arbiter is gone is killed by nothing else, so it has this long


async def beat(
    arbiter: int, step: Callable[[], None], late: Callable[[float], None], rests: Callable[[], bool]
) -> None:
    """Take a step twice a second, or once if it `rests`, and tell how late the loop was, until the arbiter is gone."""
    clock = asyncio.get_running_loop().time
    while os.getppid() == arbiter:
        step()
        period = REST_SECONDS if rests() else BEAT_SECONDS
        due = (clock() // period + 1) * period  # when what apps do once a second is due, too: one wake-up is for all
        await asyncio.sleep(due - clock())
        late(max(0.0, clock() - due))


def leave_in_time() -> None:
    """End the process after a while, whatever hangs."""
    end = threading.Timer(ORPHAN_SECONDS, _exit)
    end.daemon = True
    end.start()


def _exit() -> None:
    """Leave; the log is written first."""
    writer.flush(LOG_SECONDS)
    os._exit(1)

"""Whether the stack is ready, asked the way a client would: the ready path through nginx."""

import time

from slipway.ops import wait
from slipway.ops.console import Failure
from slipway.ops.settings import StackSettings

CONSTANT_SECONDS = 5.0  # the same 4xx for so long will not change by itself
ADVICE = {
    400: "if the app refuses the Host of the check, name one that it knows: READY_HOST=example.com",
    404: "name the path that answers 200 when the app can serve: READY_PATH, or ready_path in [tool.slipway]",
}


def is_ready(settings: StackSettings, base: str) -> bool:
    """Whether the ready path answers 200; for an app without one, whether `/` answers anything below 500."""
    return counts(settings, _ask(settings, base)[0])


def await_ready(settings: StackSettings, base: str, seconds: float) -> None:
    """Wait for it; Failure with the answer when it does not come, after five seconds of the same 4xx at the latest."""
    deadline = time.monotonic() + seconds
    last, since = 0, time.monotonic()
    while not counts(settings, (answer := _ask(settings, base))[0]):
        status, now = answer[0], time.monotonic()
        if status != last:
            last, since = status, now
        constant = 400 <= status < 500 and now - since > CONSTANT_SECONDS
        if constant or now > deadline:
            raise Failure(_reason(settings, base, answer))
        time.sleep(wait.POLL_SECONDS)


def url(settings: StackSettings, base: str) -> str:
    """What is asked for."""
    return f"{base}{settings.ready_path or '/'}"


def _ask(settings: StackSettings, base: str) -> tuple[int, object]:
    return wait.get(url(settings, base), host=settings.ready_host)


def counts(settings: StackSettings, status: int) -> bool:
    """Whether an answer with this status, 0 for none, says that the stack is ready."""
    return status == 200 if settings.ready_path else 0 < status < 500


def _reason(settings: StackSettings, base: str, answer: tuple[int, object]) -> str:
    status, body = answer
    advice = ADVICE.get(status, ADVICE[404] if 400 < status < 500 else "")
    return f"{url(settings, base)} answers {status or 'nothing'}: {body}" + (f"\n  {advice}" if advice else "")

"""Checks whether the stack is ready as a client would: by the ready path, through nginx."""

import json
import time
from collections.abc import Collection, Sequence

from slipway.ops import acme, wait
from slipway.ops.console import Failure, say
from slipway.ops.settings import StackSettings

CONSTANT_SECONDS = 5.0  # of the same 4xx, after which waiting is in vain
ADVICE = {
    400: "if the app refuses the Host of the check, name one that it knows: READY_HOST=example.com",
    404: "name the path that answers 200 when the app can serve: READY_PATH, or ready_path in [tool.slipway]",
}


def is_ready(settings: StackSettings, base: str) -> bool:
    """Whether the ready path answers 200; for an app without one, whether `/` answers anything below 500."""
    return counts(settings, ask(settings, base)[0])


def await_ready(settings: StackSettings, base: str, seconds: float) -> None:
    """Wait until it is ready; raise Failure with the answer at the deadline, or after 5 s of the same 4xx."""
    deadline = time.monotonic() + seconds
    last, since = 0, time.monotonic()
    while not counts(settings, (answer := ask(settings, base))[0]):
        status, now = answer[0], time.monotonic()
        if status != last:
            last, since = status, now
        constant = 400 <= status < 500 and now - since > CONSTANT_SECONDS
        if constant or now > deadline:
            raise Failure(_reason(settings, base, answer))
        time.sleep(wait.POLL_SECONDS)


def report(settings: StackSettings, running: Collection[str], stores: Sequence[str] = ()) -> None:
    """Print the answer of the ready path; raise Failure if a part of the stack is not running, or it is not ready."""
    code, body = ask(settings, settings.url)
    say(f"  {url(settings, settings.url)}: {code or body} {json.dumps(body) if code else ''}")
    if settings.https.on:
        say(f"  {settings.https_url}")
    parts = ["app", "nginx", *stores, *([acme.NAME] if settings.acme.domains else [])]
    parts += ["baseline", "baseline-nginx"] if settings.baseline else []
    if stopped := [name for name in parts if name not in running]:
        raise Failure(f"{' and '.join(stopped)} is stopped; `make up` starts it again")
    if not counts(settings, code):
        raise Failure("the stack is not ready; `make logs` may say why")


def url(settings: StackSettings, base: str) -> str:
    """Return the URL of the readiness check."""
    return f"{base}{settings.edge.root_path}{settings.ready_path or '/'}"


def ask(settings: StackSettings, base: str) -> tuple[int, object]:
    """Return the status and the body of the answer; (0, the reason) if nothing answers."""
    return wait.get(url(settings, base), host=settings.ready_host, proxied=settings.edge.proxy_protocol)


def counts(settings: StackSettings, status: int) -> bool:
    """Whether this status, 0 for no answer, means that the stack is ready."""
    return status == 200 if settings.ready_path else 0 < status < 500


def _reason(settings: StackSettings, base: str, answer: tuple[int, object]) -> str:
    status, body = answer
    advice = ADVICE.get(status, ADVICE[404] if 400 < status < 500 else "")
    return f"{url(settings, base)} answers {status or 'nothing'}: {body}" + (f"\n  {advice}" if advice else "")

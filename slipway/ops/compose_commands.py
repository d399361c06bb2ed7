"""One-off commands in containers of their own beside the stack."""

from slipway.ops.console import Failure, say, step
from slipway.ops.engine import Engine
from slipway.ops.settings import StackSettings


def migrate(engine: Engine, settings: StackSettings) -> None:
    """Run PRESTART alone."""
    if not settings.prestart:
        raise Failure("nothing to run: neither PRESTART nor prestart in [tool.slipway] names a command")
    say(engine.compose("run", "--rm", "-T", "migrate").strip())


def locust(engine: Engine, settings: StackSettings) -> None:
    """Run the load generator in containers until it is done or interrupted; Failure if it fails."""
    workers = ("locust-worker", settings.locust_workers)
    with step("image of locust"):
        engine.compose("build", "--quiet", "locust-master")
    engine.compose("up", "--detach", "--no-deps", "--scale={}={}".format(*workers), workers[0])
    try:
        code = engine.follow("run", "--rm", "--no-deps", "--service-ports", "--use-aliases", "locust-master")
    finally:
        engine.compose("rm", "--stop", "--force", workers[0])
    if code:
        raise Failure(f"locust ended with {code}")

"""The lifespan of an app that has nothing to start."""

from typing import Any


async def lifespan(receive: Any, send: Any) -> None:
    """Receive both events and report each as complete."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})

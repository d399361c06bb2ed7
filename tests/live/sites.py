"""Small apps that tests write into a folder, serve, and change while they run."""

from pathlib import Path
from typing import Any

from tests.harness.load import Request

SOURCE = """
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        {startup}
        await send({{"type": "lifespan.startup.complete"}})
        await receive()
        print("shutdown has run", flush=True)
        await send({{"type": "lifespan.shutdown.complete"}})
        return
    {body}
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]}})
    await send({{"type": "http.response.body", "body": b"{answer}"}})
"""


def source(*, answer: str = "old", startup: str = "pass", body: str = "pass") -> str:
    """Return an app's code; `startup` and `body` are statements of its lifespan and of each of its requests."""
    return SOURCE.format(answer=answer, startup=startup, body=body)


FAILS_IN_STARTUP = "await send({'type': 'lifespan.startup.failed', 'message': 'failed on purpose'}); return"
RAISES_IN_STARTUP = "raise RuntimeError('raised on purpose')"
HANGS_IN_STARTUP = "import asyncio; await asyncio.sleep(3600)"
BLOCKS_IN_STARTUP = "import time; time.sleep(3600)"

GET_OLD = Request("GET", "/", b"", b"old")

# The shortest allowed ladder of time-outs, so that a hang is noticed soon.
SHORT = {"DRAIN_SECONDS": "1.5", "GRACEFUL_TIMEOUT": "4", "TIMEOUT": "5"}


class Site:
    """An app in a file of its own; `options` are the settings of a server that serves it."""

    name = "site_app:application"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "site_app.py"
        # Bytecode counts as current for a whole second of a source's age, and tests change sources faster.
        self.options: dict[str, Any] = {
            "PYTHONPATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PRESTART": "none",
            "PRELOAD": "off",  # preloading imports nothing here, and finding that out takes as long as a start
            **SHORT,
        }
        self.write(source())

    def write(self, text: str) -> None:
        """Replace the code atomically."""
        new = self._path.with_suffix(".new")
        new.write_text(text)
        new.replace(self._path)

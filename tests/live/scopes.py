"""An app that answers with its scope: the client, scheme, paths and headers."""

import json
from typing import Any

from tests.live.lifespan import lifespan

SHOWN = ("type", "client", "scheme", "path", "root_path", "raw_path")


def shown(scope: Any) -> bytes:
    """Return the parts of a scope that tests check."""
    values = {name: scope.get(name) for name in SHOWN} | {
        "raw_path": (scope.get("raw_path") or b"").decode(),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
    }
    return json.dumps(values).encode()


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "http":
        body = shown(scope)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": shown(scope).decode()})
        while (await receive())["type"] != "websocket.disconnect":
            pass

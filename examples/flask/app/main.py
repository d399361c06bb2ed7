"""A Flask app, which is WSGI, wrapped as ASGI: a2wsgi runs each request in a thread of a pool."""

import hashlib
import time
from collections.abc import Iterator
from typing import Any

from a2wsgi import WSGIMiddleware
from flask import Flask, Response, redirect, request, url_for

WORKERS = 40  # threads for each worker: concurrent requests, open event streams included

flask = Flask(__name__)


@flask.get("/")
def home() -> Response:
    return Response("Hello from flask\n", content_type="text/plain")


@flask.get("/items/<int:id>")
def item(id: int) -> dict[str, Any]:  # noqa: A002 (the parameter's name in the path)
    return {"id": id, "name": f"item {id}"}


@flask.post("/items")
def create() -> tuple[dict[str, Any], int, dict[str, str]]:
    given = request.get_json()
    if not isinstance(given, dict) or "name" not in given:
        return {"detail": "a JSON object with a name"}, 422, {}
    return {"id": 7, "name": given["name"]}, 201, {"location": url_for("item", id=7, _external=True)}


@flask.post("/files")
def upload() -> dict[str, Any]:
    digest, size = hashlib.sha256(), 0
    while piece := request.stream.read(65_536):
        digest.update(piece)
        size += len(piece)
    return {"bytes": size, "sha256": digest.hexdigest()}


@flask.get("/old")
def old() -> Any:
    return redirect(url_for("item", id=7, _external=True), 307)


@flask.get("/client")
def client() -> dict[str, Any]:
    return {"client": request.remote_addr, "url": url_for("item", id=7, _external=True)}


@flask.get("/events")
def events() -> Response:
    draining = request.environ["asgi.scope"]["state"]["draining"]
    return Response(count(draining), content_type="text/event-stream")


def count(draining: Any) -> Iterator[str]:
    """Yield numbers until the worker drains; the stream holds a thread of the pool."""
    number = 0
    while not draining.is_set():  # an asyncio.Event: read from a thread, never awaited
        number += 1
        yield f"data: {number}\n\n"
        time.sleep(0.2)
    yield "event: bye\ndata:\n\n"


app = WSGIMiddleware(flask, workers=WORKERS)

"""The log as server-sent events, with the workers' beats as events named `worker`."""

from collections.abc import AsyncGenerator
from functools import lru_cache

from app import fields
from app.asgi.codec import json_text
from app.asgi.request import Request
from app.asgi.sse import Event, EventStream
from app.services import Services
from app.services.beats import parse_beat
from app.services.bus import Availability, Beat, Reset, SlowReader


async def events(request: Request) -> EventStream:
    """Stream new messages; with `Last-Event-ID` (or `?after=`) first those missed since that id."""
    services: Services = request.state["services"]
    last = (request.header(b"last-event-id") or b"").decode("latin-1") or request.query.get("after")
    after = fields.message_id(services.bus.parse, last)
    return EventStream(_events(services, after), services.draining)


async def _events(services: Services, after: str | None) -> AsyncGenerator[Event, None]:
    yield Event(json_text(services.monitor.identity), name="hello")
    for beat in services.monitor.workers():
        yield Event(json_text(beat), name="worker")
    async with services.bus.subscribe(after) as items:
        try:
            async for item in items:
                if isinstance(item, Reset):
                    yield Event("{}", name="reset")
                elif isinstance(item, Beat):
                    if (heard := _heard(item.data)) is not None:
                        yield heard
                elif isinstance(item, Availability):
                    yield Event(json_text({"available": item.available}), name="bus")
                else:
                    yield Event(item.json, id=item.id)
        except SlowReader:
            return  # the client reconnects with its last id


@lru_cache(maxsize=16)  # each beat goes to every stream of the worker
def _heard(data: str) -> Event | None:
    beat = parse_beat(data)
    return None if beat is None else Event(json_text(beat), name="worker")

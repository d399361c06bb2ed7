"""Websockets: an echo, and a chat that reaches every client of every worker in one order."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime

from app import fields
from app.asgi.codec import decode_json, json_text
from app.asgi.errors import Disconnected, HTTPError
from app.asgi.websocket import TRY_AGAIN, WebSocket
from app.services import Services
from app.services.bus import Availability, Bus, Item, Message, SlowReader, Subscription
from app.services.errors import Unavailable

log = logging.getLogger("app.chat")

BURST_SECONDS = 2.0  # a client that was quiet may send this many seconds of its rate at once
USER_LENGTH = 40  # characters
MESSAGE_LENGTH = 2_000  # characters
KEY_LENGTH = 40  # characters
CLOSE_SECONDS = 5.0  # for a reader that is too slow, to receive what was sent before the close


async def echo(socket: WebSocket) -> None:
    """Send back every message, text or binary, as it came."""
    await socket.accept()
    while True:
        await socket.send(await socket.receive())


async def chat(socket: WebSocket) -> None:
    """Publish each `{"user", "message"}` and send all clients' messages, with `?after=ID` first those missed since."""
    services: Services = socket.state["services"]
    after = fields.message_id(services.bus.parse, socket.query.get("after"))
    await socket.accept()
    await socket.send(json_text({"type": "hello", **services.monitor.identity}))
    socket.scope["headers"].clear()  # frees 1 KiB per connection; they are not read again
    writer = ChatWriter(socket)
    subscription = writer.subscription = services.bus.attach(after, writer.wake, now=writer.send_now)
    pace = Pace(services.messages_per_second)
    try:
        async with writer.patience:
            while True:
                await _publish(socket, services.bus, await socket.receive())
                await pace.keep()
    except TimeoutError:
        pass  # the client read too slowly, and CLOSE_SECONDS are over
    finally:
        services.bus.detach(subscription)
        writer.stop()


class Pace:
    """Slows a client that sends too fast: reading pauses, so that its messages wait on the client's side."""

    __slots__ = ("_each", "_free_at")

    def __init__(self, per_second: float) -> None:
        self._each = 1 / per_second
        self._free_at = 0.0  # loop time at which its messages so far would have arrived at its rate

    async def keep(self) -> None:
        """Wait until the client may send again; call it after each message."""
        now = asyncio.get_running_loop().time()
        self._free_at = max(self._free_at, now - BURST_SECONDS) + self._each
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


class ChatWriter:
    """Sends a subscription's items. It has a task only while there are items: an idle connection costs little."""

    __slots__ = ("_socket", "_task", "patience", "subscription")

    def __init__(self, socket: WebSocket) -> None:
        self.subscription: Subscription | None = None  # unset until `attach` returns; the bus may call `wake` before
        self.patience = asyncio.timeout(None)  # of the handler; starts once the client reads too slowly
        self._socket = socket
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """Start sending; called by the bus."""
        if self.subscription is not None and self.subscription.overflowed:
            self._end_soon()
        if self._task is None:
            self._task = asyncio.create_task(self._write())

    def send_now(self, message: Message) -> bool:
        """Send a message at once if possible; called by the bus while no other item waits."""
        return self._task is None and self._socket.send_now(message.json)

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _write(self) -> None:
        assert self.subscription is not None
        try:
            with suppress(Disconnected):  # the handler's `receive` raises it too
                await self._send_all(self.subscription)
        finally:
            self._task = None

    async def _send_all(self, subscription: Subscription) -> None:
        try:
            async for item in subscription.take():
                await self._socket.send(_text(item))
        except SlowReader:
            await self._close("too slow; connect again")
        except Disconnected:
            raise
        except Exception:
            log.exception("a connection to the chat can't be fed; it is closed, so that the client comes back")
            self._end_soon()
            await self._close("connect again")

    async def _close(self, reason: str) -> None:
        with suppress(Disconnected):
            await self._socket.close(TRY_AGAIN, reason)

    def _end_soon(self) -> None:
        self.patience.reschedule(asyncio.get_running_loop().time() + CLOSE_SECONDS)


def _text(item: Item) -> str:
    if isinstance(item, Message):
        return item.json
    if isinstance(item, Availability):
        return json_text({"type": "bus", "available": item.available})
    return '{"type":"reset"}'


async def _publish(socket: WebSocket, bus: Bus, text: str | bytes) -> None:
    try:
        await bus.publish(*_message(text))
    except HTTPError as error:
        await socket.send(json_text({"type": "error", "detail": error.detail}))
    except Unavailable as error:
        detail = f"{error}; the message was not sent"
        await socket.send(json_text({"type": "error", "detail": detail, "again": True}))


def _message(text: str | bytes) -> tuple[str, str]:
    """Return the JSON to publish, and the key by which the sender recognises its message and may send it again."""
    try:
        data = fields.json_object(decode_json(text if isinstance(text, bytes) else text.encode()))
    except (ValueError, RecursionError):
        raise HTTPError(400, "The message is not JSON.") from None
    user, message = fields.text(data, "user", USER_LENGTH), fields.text(data, "message", MESSAGE_LENGTH, lines=True)
    key = {"key": fields.text(data, "key", KEY_LENGTH)} if "key" in data else {}
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json_text({"user": user, "message": message, "at": at, **key}), key.get("key", "")

"""Websockets by Channels."""

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

ROOM = "room"


class Talk(AsyncWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    """Passes each client's messages on to all clients of the room, on all workers."""

    async def connect(self) -> None:
        await self.channel_layer.group_add(ROOM, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(ROOM, self.channel_name)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.channel_layer.group_send(ROOM, {"type": "said", "text": text_data})

    async def said(self, event: dict[str, Any]) -> None:
        """Send the client a message that any worker has sent to the room."""
        await self.send(text_data=event["text"])

"""Chat clients that reconnect, resume from their last id, and count missing and duplicate messages."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import uniform
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from tests.harness.client import Address
from tests.harness.websocket import CLOSE, PING, PONG, TEXT, Frames

CONNECT_SECONDS = 10.0
BACKOFF_SECONDS = (0.05, 1.0)  # upper bounds of the random pause before a new attempt: the first and the largest


@dataclass
class Seen:
    """Everything that one client has seen over all its connections."""

    messages: int = 0
    lost: int = 0  # message numbers missed without a reset
    doubled: int = 0
    resets: int = 0
    connects: int = 0
    codes: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    slowest_refusal: float = 0.0  # seconds from sending a message to the error that answers it
    order: int = 0  # a hash over all messages seen: equal for two clients that saw the same in the same order
    bus: list[bool] = field(default_factory=list)  # every notice about the bus
    texts: list[str] = field(default_factory=list)


class Client:
    """A user of the chat: listens, sends the texts in `to_say` one after the other, and reconnects when cut off."""

    def __init__(self, address: Address, name: str, to_say: Sequence[str] = (), *, keep_texts: bool = False) -> None:
        self.seen = Seen()
        self.name = name
        self.to_say = deque(to_say)
        self.worker: dict[str, Any] = {}
        self.after: str | None = "0"
        self.said: dict[str, float] = {}
        self.delays: list[float] = []  # seconds from first sending a text to receiving it
        self._address = address
        self._keep_texts = keep_texts
        self._epoch, self._number = "", 0
        self._waits_for = ""
        self._sent_at = 0.0
        self._frames: Frames | None = None
        self._cut = asyncio.Event()
        self._keys: dict[str, str] = defaultdict(lambda: token_hex(8))  # a text's key, the same in every attempt
        self.closing = False

    async def run(self) -> None:
        """Stay connected until `close` is called."""
        pause = BACKOFF_SECONDS[0]
        while not self.closing:
            if await self._connect():
                pause = BACKOFF_SECONDS[0]
                await self._cut.wait()
            self._frames = None
            if not self.closing:
                await asyncio.sleep(uniform(0, pause))
                pause = min(pause * 2, BACKOFF_SECONDS[1])

    def close(self) -> None:
        self.closing = True
        self._cut.set()
        if self._frames is not None:
            self._frames.transport.close()

    @property
    def done(self) -> bool:
        """Whether all of `to_say` has been received back."""
        return not self.to_say

    async def _connect(self) -> bool:
        self._cut.clear()
        query = f"?after={quote(self.after)}" if self.after else ""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                frames = await Frames.open(self._address, f"/ws/chat{query}", self._take, self._cut.set)
        except (OSError, TimeoutError):
            return False
        self._frames = frames
        self.seen.connects += 1
        self._waits_for = ""  # a text under way may have arrived or not: its key prevents a duplicate
        self._say()
        return True

    def _say(self) -> None:
        if self.to_say and not self._waits_for and self._frames is not None:
            self._waits_for = self.to_say[0]
            self._sent_at = asyncio.get_running_loop().time()
            self.said.setdefault(self._waits_for, self._sent_at)
            self._frames.send(
                json.dumps({"user": self.name, "message": self._waits_for, "key": self._keys[self._waits_for]}).encode()
            )

    def _take(self, opcode: int, payload: bytes) -> None:
        if opcode == PING and self._frames is not None:
            self._frames.send(payload, PONG)
        elif opcode == CLOSE:
            self.seen.codes.append(int.from_bytes(payload[:2], "big"))
            if self._frames is not None:
                self._frames.transport.close()
        elif opcode == TEXT:
            message = json.loads(payload)
            getattr(self, f"_take_{message.get('type', 'message')}")(message)

    def _take_hello(self, message: dict[str, Any]) -> None:
        self.worker = message

    def _take_bus(self, message: dict[str, Any]) -> None:
        self.seen.bus.append(message["available"])

    def _take_reset(self, message: dict[str, Any]) -> None:
        self.seen.resets += 1
        self._epoch = self._waits_for = ""  # a text under way may be lost with the log
        self._say()

    def _take_error(self, message: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        self.seen.errors.append(message["detail"])
        self.seen.slowest_refusal = max(self.seen.slowest_refusal, loop.time() - self._sent_at)
        self._waits_for = ""
        loop.call_later(uniform(*BACKOFF_SECONDS), self._say)

    def _take_message(self, message: dict[str, Any]) -> None:
        self.after = message["id"]
        epoch, _, digits = message["id"].partition("-")
        number = int(digits)
        if self._epoch:
            expected = self._number + 1
            assert epoch == self._epoch, "a new epoch without a reset"
            self.seen.lost += max(0, number - expected)
            self.seen.doubled += number < expected
        self._epoch, self._number = epoch, number
        self.seen.messages += 1
        self.seen.order = hash((self.seen.order, message["id"], message["message"]))
        if self._keep_texts:
            self.seen.texts.append(message["message"])
        if message["user"] == self.name and self.to_say and message["message"] == self.to_say[0]:
            self._heard(message["message"])

    def _heard(self, text: str) -> None:
        loop = asyncio.get_running_loop()
        self.delays.append(loop.time() - self.said.pop(text))
        self._waits_for = ""
        self.to_say.popleft()
        loop.call_soon(self._say)

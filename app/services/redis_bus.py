"""The bus of many machines: the log is a stream in Redis (https://redis.io/docs/latest/develop/data-types/streams/)."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .bus import Beat, Bus, Extract, Message, Retention
from .errors import Unavailable
from .redis_link import ANSWER_SECONDS, Link
from .redis_scripts import APPEND, BEAT, BEATS, LATE, LOG, READ, RENEW

KEEP_BEATS = 64
CLOCK_SECONDS = 0.1  # a longer round trip is not used to compare clocks
MOST_SENT = 1_000
NEVER = 9e15  # milliseconds
NO_BEATS = "9999999999999999-0"  # an id after all that Redis generates
LAST_PART = 2**64 - 1  # the largest second part of an id; the next id has the next number


class RedisBus(Bus):
    """Each entry of the log has a random token, which reveals a server that took over without the log's end."""

    def __init__(self, url: str, keep: Retention, password: str = "") -> None:
        super().__init__()
        self._keep = keep
        self._last_beat = "0-0"
        self._ahead: float | None = None  # Redis's clock minus the loop's, in milliseconds
        self._heard = (0, "")  # number and token of the newest message known to the listener
        self._sent: dict[int, str] = {}  # the same of published messages that the listener has not checked yet
        self._link = Link(url, password)

    async def start(self) -> None:
        self._link.start()
        await super().start()

    async def append(self, data: str, key: str) -> tuple[str, int]:
        latest = NEVER if self._ahead is None else self._milliseconds() + self._ahead + ANSWER_SECONDS * 1_000
        keep, token = self._keep, _name()
        try:
            epoch, number, is_new = await self._link.run(
                _place, APPEND, token, data, keep.messages, latest, key, keep.seconds, keep.size
            )
        except Unavailable as error:
            if LATE in str(error):
                self._ahead = None  # one of the clocks was set; the next beat compares them again
            raise
        if is_new and epoch == self.epoch and len(self._sent) < MOST_SENT:
            self._sent[number] = token
        return epoch, number

    async def tell(self, data: str) -> None:
        before, keep = self._milliseconds(), self._keep
        self._compare(
            before, await self._link.run(float, BEAT, data, KEEP_BEATS, keep.seconds, keep.messages, keep.size)
        )

    async def read(self, after: int, limit: int) -> Extract:
        before = self._milliseconds()
        answer = await self._link.run(_Answer.parse, READ, _name(), after, limit, self._keep.seconds, NO_BEATS, "")
        self._compare(before, answer.time)
        return answer.extract

    async def news(self, after: int, limit: int) -> tuple[Extract, Sequence[Beat]]:
        sent, self._sent = self._sent, {}
        heard = [self._heard] if self._heard[0] == after and self._heard[1] else []
        streams = {LOG: f"{after}-{LAST_PART}", BEATS: self._last_beat}
        must_be = " ".join(f"{number}:{token}" for number, token in (*sent.items(), *heard))
        arguments = (_name(), after, limit, self._keep.seconds, self._last_beat, must_be)
        try:
            answer = await self._link.wait(_Answer.parse, streams, READ, *arguments)
        except Unavailable:
            self._sent = sent | self._sent  # to be checked at the server that answers next
            raise
        if answer.extract.forked and answer.extract.epoch == self.epoch:
            self._sent = sent | self._sent  # checked until the log is renewed: this server may refuse that
        else:
            self._heard = answer.last
        self._last_beat = answer.last_beat or self._last_beat
        return answer.extract, answer.beats

    async def renew(self, epoch: str) -> None:
        await self._link.run(str, RENEW, _name(), epoch)
        self._heard, self._sent = (0, ""), {}

    async def close(self) -> None:
        await self._link.close()

    def _compare(self, before: float, time: float) -> None:
        if self._milliseconds() - before <= CLOCK_SECONDS * 1_000:
            self._ahead = time - before

    def _milliseconds(self) -> float:
        return asyncio.get_running_loop().time() * 1_000


@dataclass(frozen=True, slots=True)
class _Answer:
    """The answer of READ."""

    extract: Extract
    last: tuple[int, str]  # number and token of its last message, or of the log's newest if it has none
    beats: Sequence[Beat]
    last_beat: str
    time: float  # milliseconds

    @classmethod
    def parse(cls, answer: Any) -> "_Answer":
        place, newest, entries, beats, time, token, forked = answer
        epoch, _, start = place.partition(":")
        numbers = [int(entry.partition("-")[0]) for entry, _, _ in entries]
        messages = [Message(epoch, number, data) for number, (_, data, _) in zip(numbers, entries, strict=True)]
        return cls(
            Extract(epoch, int(start), int(newest), messages, bool(forked)),
            (numbers[-1], str(entries[-1][2])) if entries else (int(newest), str(token)),
            [Beat(str(fields[1])) for _, fields in beats],
            str(beats[-1][0]) if beats else "",
            float(time),
        )


def _place(answer: Any) -> tuple[str, int, bool]:
    epoch, number, is_new = answer
    return epoch.partition(":")[0], int(number), bool(is_new)


def _name() -> str:
    """Return a random name, for a new epoch or as the token of a message."""
    return secrets.token_hex(4)

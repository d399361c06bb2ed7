"""One worker of the bus, as a process: `python -m tests.app.services.bus_peer FOLDER NAME PUBLISHES EXPECTS`.

Says "ready", waits for a line, publishes, and prints the ids and texts that it has read.
"""

import asyncio
import sys
from pathlib import Path

from app.services.bus import Message, Retention
from app.services.embedded_bus import EmbeddedBus


async def main(folder: str, name: str, publishes: int, expects: int) -> None:
    bus = EmbeddedBus(Path(folder), Retention(10_000, 3_600))
    await bus.start()
    async with bus.subscribe() as items:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for number in range(publishes):
            await bus.publish(f'{{"text":"{name} {number}"}}')
        read = 0
        async for item in items:
            if isinstance(item, Message):
                print(item.json)
                read += 1
            if read == expects:
                break
    await bus.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

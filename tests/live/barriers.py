"""Waits until the work that a test has begun is under way."""

import asyncio
from contextlib import suppress

from tests.harness.client import SECONDS, Address, Connection, request
from tests.harness.stack import Server

ANSWER_SECONDS = 0.2  # a worker that takes longer to answer is blocked


async def begin(address: Address, target: str) -> Connection:
    """Send a GET that takes long; return its connection once a later request has been answered."""
    connection = await Connection.open(address)
    connection.send("GET", target)
    await request(address, "GET", "/plaintext")
    return connection


async def until_blocked(server: Server) -> int:
    """Wait until the event loop of a worker is blocked; return its slot."""
    async with asyncio.timeout(SECONDS):
        while True:
            for slot in range(server.workers):
                with suppress(TimeoutError):
                    await asyncio.wait_for(request(server.address(slot), "GET", "/livez"), ANSWER_SECONDS)
                    continue
                return slot

"""Answers in the place of an app that fails, takes too long or may not be called."""

import asyncio
import logging
from contextlib import suppress

from slipway.middleware.exchange import Exchange
from slipway.middleware.problem import FAILED, LATE, answer
from slipway.middleware.types import Receive, Scope, Send

log = logging.getLogger("slipway")

UNREAD = 100  # messages that an app may have left unread before the disconnect


async def refuse(scope: Scope, receive: Receive, send: Send, exchange: Exchange, status: int, detail: str) -> None:
    """Refuse a request in the place of the app."""
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
    await answer(scope, send, status, detail, exchange.request_id)


async def late(scope: Scope, send: Send, exchange: Exchange) -> bool:
    """Answer 504 in the place of a cancelled handler."""
    if (task := asyncio.current_task()) is not None:
        task.uncancel()
    path, request_id = scope.get("path"), exchange.request_id
    log.error("a request took longer than REQUEST_TIMEOUT", extra={"request_id": request_id, "path": path})
    await answer(scope, send, 504, LATE, request_id)
    return True


async def failed(error: BaseException | None, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> bool:
    """Answer 500 for an app that has not answered; return False if that is no longer possible."""
    if exchange.refused:
        return True  # the client has its answer, and the error told the app
    if error is not None and not isinstance(error, Exception):  # cancelled: the server answers
        exchange.status = exchange.status or 500
        return False
    if exchange.status or (scope["type"] == "http" and await _has_left(receive)):
        return False
    try:
        await answer(scope, send, 500, FAILED, exchange.request_id)
    except OSError:  # a websocket's client has left
        exchange.status = 0
        return False
    reason = "request failed" if error else "the app has returned without an answer"
    log.error(reason, exc_info=error, extra={"request_id": exchange.request_id})
    return True


async def _has_left(receive: Receive) -> bool:
    """Whether the client has left, as far as the server knows by now."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            for _ in range(UNREAD):
                if (await receive())["type"].endswith(".disconnect"):
                    return True
    return False

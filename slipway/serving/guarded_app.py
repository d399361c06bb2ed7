"""Puts slipway.middleware around the app that a worker serves."""

from typing import Any

import uvicorn

from slipway.logs import handler
from slipway.metrics.board import Board
from slipway.middleware import trace
from slipway.middleware.exchange import Exchange
from slipway.middleware.guard import Guard, guarded
from slipway.middleware.sender import followed
from slipway.middleware.settings import GuardSettings
from slipway.serving.cycle import Cycle
from slipway.serving.forwarded import Forwarded


def load_guarded_app(
    config: uvicorn.Config, settings: GuardSettings, slot: int | None, board: Board | None = None
) -> Guard:
    """Load the app and put the guard around it; return the guard.

    uvicorn first finds out what kind of app it is, a factory, ASGI 2 or 3, by a look at the app itself. The guard
    stands within the middleware that knows the client's address behind a proxy, so that its records have it.
    """
    config.proxy_headers, proxied = False, config.proxy_headers
    config.load()
    guard = guarded(config.loaded_app, settings, slot, board)
    handler.use_context(trace.fields)
    guard.follow, guard.other_status = follow, other_status
    if proxied:
        guard.see = Forwarded(config.forwarded_allow_ips)
    app: Any = guard  # uvicorn's types name each message; ours are as the specification has them
    config.loaded_app = app
    return guard


def follow(exchange: Exchange, send: Any) -> Any:
    """Have our own cycle tell the exchange by itself; a websocket's `send` is followed."""
    cycle = send.__self__
    if cycle.__class__ is not Cycle:
        return followed(exchange, send)
    cycle.exchange = exchange
    return send


def other_status(send: Any) -> int | None:
    """What the client gets of a request whose app has ended, if not what the app has sent; `send` is uvicorn's."""
    status: int | None = send.__self__.other_status
    return status

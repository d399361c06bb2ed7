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

    uvicorn has to load the bare app, to detect its kind (a factory, ASGI 2 or 3). The guard itself applies proxy
    headers, in place of uvicorn's middleware, so that its records have the client's address.
    """
    config.proxy_headers, proxied = False, config.proxy_headers
    config.load()
    guard = guarded(config.loaded_app, settings, slot, board)
    handler.use_context(trace.fields)
    guard.follow, guard.other_status = follow, other_status
    if proxied:
        guard.see = Forwarded(config.forwarded_allow_ips)
    app: Any = guard  # uvicorn types each message; our types follow the specification
    config.loaded_app = app
    return guard


def follow(exchange: Exchange, send: Any) -> Any:
    """Have our Cycle report to the exchange directly; wrap the `send` of a websocket."""
    cycle = send.__self__
    if cycle.__class__ is not Cycle:
        return followed(exchange, send)
    cycle.exchange = exchange
    return send


def other_status(send: Any) -> int | None:
    """Return `Cycle.other_status` of the request; `send` is a bound method of its Cycle."""
    status: int | None = send.__self__.other_status
    return status

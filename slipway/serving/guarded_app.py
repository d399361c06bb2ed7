"""Puts slipway.middleware around the app that a worker serves."""

from typing import Any

import uvicorn
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from slipway.middleware.guard import Guard, guarded
from slipway.middleware.settings import GuardSettings


def load_guarded_app(config: uvicorn.Config, settings: GuardSettings, slot: int | None) -> Guard:
    """Load the app and put the guard around it; return the guard.

    uvicorn first finds out what kind of app it is, a factory, ASGI 2 or 3, by a look at the app itself. The guard
    stands within the middleware that knows the client's address behind a proxy, so that its records have it.
    """
    config.proxy_headers, proxied = False, config.proxy_headers
    config.load()
    guard = guarded(config.loaded_app, settings, slot)
    guard.other_status = other_status
    app: Any = guard  # uvicorn's types name each message; ours are as the specification has them
    config.loaded_app = ProxyHeadersMiddleware(app, config.forwarded_allow_ips) if proxied else app
    return guard


def other_status(send: Any) -> int | None:
    """What the client gets of a request whose app has ended, if not what the app has sent; `send` is uvicorn's."""
    status: int | None = send.__self__.transport.other_status
    return status

"""How each kind of connection ends in a drain.

A request that has arrived whole is answered, as are all requests read with it. A connection without a request (just
accepted, idle, half a head) is closed without a response, so that its client, usually nginx, may send the request
elsewhere. An accepted websocket is closed with 1012; a handshake has as much time as a request, then it is answered
with 503. A request whose body does not arrive in that time is answered with 408, and a connection whose client does not
read its response is cut. slipway/serving/closing.py lets a client that still sends read all that was written.

The two protocols are told apart by their attributes: `cycle` is HTTP's, `handshake_complete` the websocket's.
"""

import asyncio
import logging
from typing import Any

from slipway.serving.closing import has_unread

LATE = "The server is stopping, and the rest of the request has not arrived."


def say_close(connection: Any) -> None:
    """Have the current request's response say `connection: close`, if it has not started."""
    cycle = getattr(connection, "cycle", None)
    if cycle is not None and not cycle.response_started:
        cycle.keep_alive = False


def close_if_over(connection: Any, *, idle_stays: bool) -> None:
    """Close a connection without a running request; `idle_stays` spares idle ones: a request may be on its way."""
    if connection.transport.is_closing():
        return
    if hasattr(connection, "handshake_complete"):
        is_over = connection.handshake_complete or not connection.handshake_initiated
    else:
        is_over = _is_idle(connection) and not idle_stays and not has_unread(connection.transport)
    if is_over:
        connection.shutdown()


def release(connection: Any) -> None:
    """End a connection that waits for its client. A handler that does not wait for the client goes on."""
    transport = connection.transport
    if transport.is_closing() or transport.get_write_buffer_size():
        transport.abort()
    elif hasattr(connection, "handshake_complete") or _is_idle(connection):
        connection.shutdown()
    elif connection.cycle.more_body and not connection.pipeline:
        connection.refuse(408, LATE)


def cut(connection: Any) -> None:
    """Close a connection at once, and drop its unsent data."""
    connection.transport.abort()


def is_no_cancellation(record: logging.LogRecord) -> bool:
    """Filter out the records of cancelled handlers: the drain logs their number, and they are no errors of the app."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _is_idle(connection: Any) -> bool:
    return connection.cycle is None or connection.cycle.response_complete

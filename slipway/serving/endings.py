"""How each kind of connection ends in a drain.

A request that has arrived whole is answered, and so are all that were read with it. A connection without one (just
accepted, idle, half a head) is closed without a word: its client, nginx above all, may send the request elsewhere. An
accepted websocket is closed with 1012; a handshake has as much time as a request, then it is answered with 503. A
request whose body does not arrive is answered with 408 in the end, and a connection whose client does not take its
answer is cut. slipway/serving/closing.py has what a client that still sends sees of a close: all that was written.

The two protocols are told apart by their attributes: `cycle` is HTTP's, `handshake_complete` the websocket's.
"""

import asyncio
import logging
from typing import Any

from slipway.serving.closing import has_unread

LATE = "The server is stopping, and the rest of the request has not arrived."


def say_close(connection: Any) -> None:
    """Make the response of the request under way say `connection: close`, if it has not begun."""
    cycle = getattr(connection, "cycle", None)
    if cycle is not None and not cycle.response_started:
        cycle.keep_alive = False


def close_if_over(connection: Any, *, idle_stays: bool) -> None:
    """Close a connection that has nothing under way; one that idles may have a request on its way."""
    if connection.transport.is_closing():
        return
    if hasattr(connection, "handshake_complete"):
        is_over = connection.handshake_complete or not connection.handshake_initiated
    else:
        is_over = _is_idle(connection) and not idle_stays and not has_unread(connection.transport)
    if is_over:
        connection.shutdown()


def release(connection: Any) -> None:
    """End what waits for its client. Handlers that do not wait for it go on."""
    transport = connection.transport
    if transport.is_closing() or transport.get_write_buffer_size():
        transport.abort()
    elif hasattr(connection, "handshake_complete") or _is_idle(connection):
        connection.shutdown()
    elif connection.cycle.more_body and not connection.pipeline:
        connection.refuse(408, LATE)


def cut(connection: Any) -> None:
    """Close a connection at once, whatever is still to be sent."""
    connection.transport.abort()


def is_no_cancellation(record: logging.LogRecord) -> bool:
    """A filter of records: that handlers were cancelled is told once for all, and is no error of the app."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _is_idle(connection: Any) -> bool:
    return connection.cycle is None or connection.cycle.response_complete

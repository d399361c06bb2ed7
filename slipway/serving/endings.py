"""How each kind of connection ends in a drain.

A request that has arrived whole is answered, and so are all that were read with it. A connection without one (just
accepted, idle, half a head) is closed without a word: its client, nginx above all, may send the request elsewhere. An
accepted websocket is closed with 1012; a handshake has as much time as a request. A request whose body does not arrive
is answered with 408 in the end, and a connection whose client does not take its answer is cut.

uvicorn's two protocols are told apart by their attributes: `cycle` is HTTP's, `handshake_complete` the websocket's.
"""

import asyncio
import json
import logging
import select
from typing import Any

TITLE = "Request Timeout"
DETAIL = "The server ends, and the rest of the request has not arrived."


def say_close(connection: Any) -> None:
    """Make the response of the request under way say `connection: close`, if it has not begun."""
    cycle = getattr(connection, "cycle", None)
    if cycle is not None and not cycle.response_started:
        cycle.keep_alive = False


def close_if_over(connection: Any, *, idle_stays: bool) -> None:
    """Close a connection that has nothing under way; one that idles may have a request on its way."""
    if connection.transport.is_closing():  # the second shutdown of a websocket would raise
        return
    if hasattr(connection, "handshake_complete"):
        is_over = connection.handshake_complete or not connection.handshake_initiated
    else:
        is_over = _is_idle(connection) and not idle_stays and not _has_arrived(connection)
    if is_over:
        _close(connection)


def _close(connection: Any) -> None:
    """A client that still sends reads the answer that it has got, not a reset."""
    if _is_sending(connection) and connection.transport.can_write_eof():
        connection.transport.write_eof()  # what arrives is discarded until the client closes, or `release` does
    else:
        connection.shutdown()


def release(connection: Any) -> None:
    """End what waits for its client. Handlers that do not wait for it go on."""
    transport = connection.transport
    if transport.is_closing() or transport.get_write_buffer_size():
        transport.abort()
    elif hasattr(connection, "handshake_complete"):
        connection.shutdown()
    elif _is_idle(connection):
        transport.close()
    elif connection.cycle.more_body and not connection.pipeline:
        _give_up(connection)


def cut(connection: Any) -> None:
    """Close a connection at once, whatever is still to be sent."""
    connection.transport.abort()


def _give_up(connection: Any) -> None:
    """Answer a request whose body has not arrived; to its handler the client is gone."""
    cycle, transport = connection.cycle, connection.transport
    if cycle.response_started:
        transport.abort()
        return
    transport.write(_request_timeout(cycle.scope))
    cycle.disconnected = True
    cycle.message_event.set()
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()


def _request_timeout(scope: Any) -> bytes:
    ids = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"]
    problem = {"type": "about:blank", "title": TITLE, "status": 408, "detail": DETAIL, "request_id": "".join(ids[:1])}
    body = json.dumps(problem).encode()
    lines = [
        f"HTTP/1.1 408 {TITLE}",
        "content-type: application/problem+json",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


def _is_idle(connection: Any) -> bool:
    return connection.cycle is None or connection.cycle.response_complete


def _is_sending(connection: Any) -> bool:
    """Whether the client was answered before the end of its body had arrived."""
    cycle = getattr(connection, "cycle", None)
    return cycle is not None and cycle.response_complete and cycle.more_body


def _has_arrived(connection: Any) -> bool:
    """Whether something waits to be read: the first of a request, or the client's end."""
    arrived = select.poll()
    arrived.register(connection.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(arrived.poll(0))


def is_no_cancellation(record: logging.LogRecord) -> bool:
    """A filter of records: that a handler was cancelled is told once for all, and is no error of the app."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))

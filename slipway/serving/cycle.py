"""A request and its response: replaces uvicorn's RequestResponseCycle, and provides the app's `receive` and `send`."""

import asyncio
from typing import Any

from slipway.serving import refusals
from slipway.serving.answer import Answer

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"connection", b"close"


class Cycle(Answer):
    """Runs the app for one request, and answers in its place if it fails."""

    task: asyncio.Task[None] | None = None
    more_body = True  # of the request
    _refused: int | None = None  # the status that was sent in the app's place

    def __init__(self, protocol: Any, scope: Any, *, keep_alive: bool) -> None:
        super().__init__(protocol, scope, keep_alive=keep_alive)
        self.body = bytearray()
        self._keep_alive = keep_alive
        if self.waiting_for_100_continue:
            # A client that gets a final response instead of 100 Continue may omit the body, so the next bytes on the
            # connection could be the body or a new request.
            self.keep_alive = False

    @property
    def other_status(self) -> int | None:
        """The client's status after the app has ended, where it differs from the app's; 0 for no response."""
        if self._refused or self._head == []:
            return self._refused
        return 0 if self.transport.is_closing() else 500

    async def run_asgi(self, app: Any) -> None:
        """Call the app; if it fails or leaves the response incomplete, end the connection, with a 500 if possible."""
        try:
            result = await app(self.scope, self.receive, self.send)
        except BaseException as error:
            self._failed("Exception in ASGI application", error)
        else:
            if result is not None:
                self._failed(f"ASGI callable should return None, but returned {result!r}.")
            elif not self.response_complete and not self.disconnected:
                what = "completing" if self.response_started else "starting"
                self._failed(f"ASGI callable returned without {what} response.")
        finally:
            self._protocol.tasks.discard(self.task)
            self.on_response, self._protocol = _nothing, None  # a reference cycle would leave both to the collector

    def refuse(self, status: int, detail: str) -> None:
        """Answer in the app's place if nothing was sent, and close the connection."""
        if self._head != [] and not self.transport.is_closing():
            request_id = refusals.request_id(self.scope["headers"])
            self.transport.write(refusals.response(status, detail, request_id, method=self.scope["method"]))
            self._head, self._refused = [], status
        self.transport.close()

    async def receive(self) -> Any:
        """Return the next part of the body, or http.disconnect after the response or the client's end."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self._say_continue()
        if not self.disconnected and not self.response_complete:
            self.flow.resume_reading()
            arrival = self.message_event
            if not arrival.is_set:  # a body that has arrived costs no coroutine
                await arrival.wait()
            arrival.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, bytearray()
        return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}

    def _failed(self, reason: str, error: BaseException | None = None) -> None:
        """End the connection, with a 500 if nothing was sent: after a close without a response, a proxy would take the
        worker for dead and send the request to the next one."""
        self._protocol.logger.error(reason, exc_info=error)
        self.refuse(500, refusals.FAILED)
        if not self.response_started:
            self.response_started = self.response_complete = True
            self.message_event.set()
            self.on_response()

    def _say_continue(self) -> None:
        self.transport.write(CONTINUE)
        self.waiting_for_100_continue = False
        self.keep_alive = self._keep_alive and CLOSE not in self._protocol.server_state.default_headers


def _nothing() -> None:
    pass

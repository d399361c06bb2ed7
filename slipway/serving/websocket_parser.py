"""The parser of websockets, changed in what it answers to a handshake that it refuses, and where a close may come."""

from typing import Any

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.server import ServerProtocol

from slipway.serving import refusals


class Parser(ServerProtocol):
    """The parser, whose refusals are problem details."""

    request_id = ""

    def recv_frame(self, frame: Frame) -> None:
        """Take a close between two fragments, where any control frame may come: RFC 6455 section 5.4."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)

    def reject(self, status: Any, text: str) -> Response:
        """Called for each handshake that is refused before the app has answered it with a response of its own."""
        plain = super().reject(status, "")
        detail = text.strip() or "The handshake was refused."
        fields, body = refusals.problem(plain.status_code, detail, self.request_id)
        headers = Headers([("date", plain.headers["Date"]), *fields])
        return Response(plain.status_code, plain.reason_phrase, headers, body)

"""The websocket parser, changed in its answer to a refused handshake, and in where it accepts a close frame."""

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
        """Accept a close between two fragments, where any control frame is allowed: RFC 6455 section 5.4."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)

    def reject(self, status: Any, text: str) -> Response:
        """Make the response to a handshake that is refused without a response of the app's own."""
        plain = super().reject(status, "")
        detail = text.strip() or "The handshake was refused."
        fields, body = refusals.problem(plain.status_code, detail, self.request_id)
        headers = Headers([("date", plain.headers["Date"]), *fields])
        return Response(plain.status_code, plain.reason_phrase, headers, body)

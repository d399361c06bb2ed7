"""The length of a listener's accept queue: from sock_diag(7) for unix sockets, from tcp(7) for others."""

import os
import socket
import struct
from contextlib import suppress

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
REQUEST = 1  # NLM_F_REQUEST
SHOW_QUEUE = 0x10  # UDIAG_SHOW_RQLEN
ATTRIBUTE_QUEUE = 4  # UNIX_DIAG_RQLEN
ERROR = 2  # NLMSG_ERROR
HEADER = struct.Struct("=IHHII")  # of a message: length, type, flags, sequence, port
QUESTION = struct.Struct("=BBHIIIII")  # family, protocol, pad, states, inode, show, cookie
ANSWER_BYTES = 16  # struct unix_diag_msg
ATTRIBUTE = struct.Struct("=HH")  # length, type
WAITING = struct.Struct("=24xI")  # tcpi_unacked of struct tcp_info; of a listener, the length of its accept queue


def length(listener: socket.socket) -> int | None:
    """Return the number of connections that wait to be accepted; None if the system does not report it."""
    with suppress(OSError, struct.error):
        if listener.family == socket.AF_UNIX:
            return _unix(os.fstat(listener.fileno()).st_ino)
        info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return int(WAITING.unpack_from(info)[0])
    return None


def _unix(inode: int) -> int | None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, NETLINK_SOCK_DIAG) as link:
        link.settimeout(1)
        question = QUESTION.pack(socket.AF_UNIX, 0, 0, 0xFFFFFFFF, inode, SHOW_QUEUE, 0xFFFFFFFF, 0xFFFFFFFF)
        link.send(HEADER.pack(HEADER.size + len(question), SOCK_DIAG_BY_FAMILY, REQUEST, 1, 0) + question)
        answer = link.recv(4096)
    if HEADER.unpack_from(answer)[1] == ERROR:
        return None
    place = HEADER.size + ANSWER_BYTES
    while place + ATTRIBUTE.size <= len(answer):
        size, kind = ATTRIBUTE.unpack_from(answer, place)
        if kind == ATTRIBUTE_QUEUE:
            return int(struct.unpack_from("=I", answer, place + ATTRIBUTE.size)[0])
        place += max(4, (size + 3) & ~3)
    return None

"""A few words of shared memory between the arbiter and one worker; neither ever waits for the other.

The arbiter rings a bell after writing, so that an idle worker need not look many times a second.
"""

import mmap
import os
import struct
from contextlib import suppress

WORDS = struct.Struct("=7i")
WORD = struct.Struct("=i")
ASKED, ANSWERED, STATUS, ADMITTED, LISTENS, WANTS_SUCCESSOR, LAME_DUCK = range(7)


class Mailbox:
    """Made before the fork; each word has one writer."""

    def __init__(self, *, admitted: bool) -> None:
        self._memory = mmap.mmap(-1, WORDS.size)
        self.bell = _new_bell()
        """An eventfd that is readable after the arbiter has rung; None where the system has no eventfd."""
        self._put(ADMITTED, admitted)

    def close(self) -> None:
        """Close the bell; ringing has no effect afterwards."""
        bell, self.bell = self.bell, None
        if bell is not None:
            os.close(bell)

    # Written by the arbiter

    def ask(self) -> None:
        """Have the worker ask its app whether it is ready."""
        self._put(ASKED, self._get(ASKED) + 1)
        self.ring()

    def admit(self) -> None:
        """Let the worker accept connections."""
        self._put(ADMITTED, 1)
        self.ring()

    def say_lame_duck(self) -> None:
        """Have the worker report not ready, and serve on."""
        if not self.is_lame_duck:
            self._put(LAME_DUCK, 1)
            self.ring()

    def ring(self) -> None:
        """Have the worker look now."""
        if self.bell is not None:
            with suppress(OSError):
                os.eventfd_write(self.bell, 1)

    # Written by the worker

    def silence(self) -> None:
        """Reset the bell."""
        if self.bell is not None:
            with suppress(OSError):
                os.eventfd_read(self.bell)

    def answer(self, question: int, status: int) -> None:
        self._put(STATUS, status)
        self._put(ANSWERED, question)

    def tell_listens(self) -> None:
        self._put(LISTENS, 1)

    def want_successor(self) -> None:
        self._put(WANTS_SUCCESSOR, 1)

    # Read by both

    @property
    def question(self) -> int:
        """The number of the newest question."""
        return self._get(ASKED)

    @property
    def status(self) -> int | None:
        """The app's answer to the newest question; None while there is none."""
        return self._get(STATUS) if self._get(ANSWERED) == self._get(ASKED) else None

    @property
    def admitted(self) -> bool:
        return bool(self._get(ADMITTED))

    @property
    def listens(self) -> bool:
        return bool(self._get(LISTENS))

    @property
    def wants_successor(self) -> bool:
        return bool(self._get(WANTS_SUCCESSOR))

    @property
    def is_lame_duck(self) -> bool:
        return bool(self._get(LAME_DUCK))

    def _get(self, word: int) -> int:
        return int(WORD.unpack_from(self._memory, word * WORD.size)[0])

    def _put(self, word: int, value: int) -> None:
        WORD.pack_into(self._memory, word * WORD.size, value)


def _new_bell() -> int | None:
    try:
        return os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    except (AttributeError, OSError):
        return None

"""The benchmark's work, the same for the ASGI app and the WSGI baseline."""

from time import thread_time

PLAINTEXT = "Hello, World!"
GREETING = {"message": PLAINTEXT}
MAX_MILLISECONDS = 10_000


def burn(milliseconds: int) -> None:
    """Use this much CPU time of the thread, however busy the machine is."""
    end = thread_time() + milliseconds / 1_000
    while thread_time() < end:
        pass

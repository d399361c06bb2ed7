"""Daemon threads that receive no signals."""

import signal
import threading
from collections.abc import Callable

FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL}  # belong to the thread that causes them


def start_thread(run: Callable[[], None], name: str) -> threading.Thread:
    """Start a daemon thread that blocks signals, so that they reach the main thread, which waits for them."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - FAULTS)
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread

"""The shipped gunicorn.conf.py; at its end each worker also leaves the number of requests that it has served."""

from pathlib import Path
from typing import Any

from bench.run.counters import leave

_shipped = Path(__file__).resolve().parents[2] / "gunicorn.conf.py"
exec(compile(_shipped.read_text(), str(_shipped), "exec"))  # the arms run with what is shipped, not with a copy


def worker_exit(arbiter: Any, worker: Any) -> None:
    """Our worker counts itself; under another the ASGI app does, and gunicorn's WSGI workers in `nr`."""
    app = getattr(worker, "asgi", None) or worker.wsgi  # gunicorn's own ASGI worker has a name of its own for it
    counter = getattr(worker, "counts", None) or getattr(app, "app", None)
    leave(getattr(counter, "total", worker.nr))

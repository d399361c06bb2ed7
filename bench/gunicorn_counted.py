"""The shipped gunicorn.conf.py; at its end each worker also leaves the number of requests that it has served."""

from pathlib import Path
from typing import Any

from bench.counters import leave

_shipped = Path(__file__).resolve().parent.parent / "gunicorn.conf.py"
exec(compile(_shipped.read_text(), str(_shipped), "exec"))  # the arms run with what is shipped, not with a copy


def worker_exit(arbiter: Any, worker: Any) -> None:
    """The ASGI app counts in its outermost middleware, gunicorn's WSGI workers in `nr`."""
    app = getattr(worker, "asgi", None) or worker.wsgi  # gunicorn's own ASGI worker has a name of its own for it
    leave(getattr(getattr(app, "app", None), "total", worker.nr))

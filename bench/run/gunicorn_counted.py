"""The shipped gunicorn.conf.py; each worker also writes its count of requests at its end."""

from pathlib import Path
from typing import Any

from bench.run.counters import save_count

_shipped = Path(__file__).resolve().parents[2] / "gunicorn.conf.py"
exec(compile(_shipped.read_text(), str(_shipped), "exec"))  # the shipped file, not a copy


def worker_exit(arbiter: Any, worker: Any) -> None:
    """Write the count: of Slipway's worker, else of the ASGI app, else of gunicorn's WSGI workers (`nr`)."""
    app = getattr(worker, "asgi", None) or worker.wsgi  # gunicorn's ASGI worker names the attribute `asgi`
    counter = getattr(worker, "counts", None) or getattr(app, "app", None)
    save_count(getattr(counter, "total", worker.nr))

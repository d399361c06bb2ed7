"""The shipped gunicorn.conf.py; at its end each worker also leaves the number of requests that it has served."""

import os
from pathlib import Path
from typing import Any

_shipped = Path(__file__).resolve().parent.parent / "gunicorn.conf.py"
exec(compile(_shipped.read_text(), str(_shipped), "exec"))  # the arms run with what is shipped, not with a copy


def worker_exit(arbiter: Any, worker: Any) -> None:
    """The ASGI app counts in its outermost middleware, gunicorn's WSGI workers in `nr`."""
    count = getattr(getattr(worker.wsgi, "app", None), "total", worker.nr)
    (Path(os.environ["BENCH_COUNTS"]) / str(worker.pid)).write_text(str(count))

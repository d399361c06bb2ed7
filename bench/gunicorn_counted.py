"""The shipped gunicorn.conf.py, and at the end of each worker the number of requests that gunicorn says it has served."""

import os
from pathlib import Path
from typing import Any

_shipped = Path(__file__).resolve().parent.parent / "gunicorn.conf.py"
exec(compile(_shipped.read_text(), str(_shipped), "exec"))  # the arms run with what is shipped, not with a copy


def worker_exit(arbiter: Any, worker: Any) -> None:
    """WSGI workers count in `nr`; the ASGI app counts by itself."""
    (Path(os.environ["BENCH_COUNTS"]) / str(worker.pid)).write_text(str(getattr(worker, "nr", 0)))

"""What the process model needs and gunicorn and uvicorn lack. Knows both of them; `app/` knows neither.

`install` puts our worker and arbiter in the place of the stock ones, so that the literal command
`gunicorn -k uvicorn.workers.UvicornWorker app.main:application` runs with them.
"""

import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slipway.serving.config import Settings


def install(settings: "Settings") -> None:
    """Put our worker and arbiter in the place of uvicorn.workers.UvicornWorker and gunicorn's Arbiter."""
    import gunicorn.app.base

    with warnings.catch_warnings():
        # uvicorn.workers says that uvicorn-worker replaces it; the two are the same code, line by line.
        warnings.simplefilter("ignore", DeprecationWarning)
        import uvicorn.workers

        from slipway.serving.worker import Worker
    from slipway.serving.arbiter import Arbiter

    Worker.settings = Arbiter.settings = settings
    # -k on the command line names a class by its path and beats the configuration file, so the path must lead to ours.
    uvicorn.workers.UvicornWorker = Worker  # type: ignore[misc]
    gunicorn.app.base.Arbiter = Arbiter

"""The parts of the process model that gunicorn and uvicorn lack. Depends on both; `app/` depends on neither.

`install` replaces the stock worker and arbiter by ours, so that the literal command
`gunicorn -k uvicorn.workers.UvicornWorker app.main:application` runs with them.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.serving.settings import ServerSettings


def install(settings: "ServerSettings") -> None:
    """Replace uvicorn's worker and gunicorn's Arbiter by ours; add a check of gunicorn's options."""
    import gunicorn.app.base
    import gunicorn.config

    from slipway.serving import options
    from slipway.serving.arbiter import Arbiter
    from slipway.serving.worker import Worker

    Worker.settings = Arbiter.settings = settings
    # -k on the command line names a class by its path and overrides the configuration file, so that path must lead to
    # our worker, whether or not the package with such a module is installed.
    for name in ("uvicorn.workers", "uvicorn_worker"):
        _provide(name, UvicornWorker=Worker)
    gunicorn.app.base.Arbiter = Arbiter
    stock = vars(gunicorn.config.Config)["validate"]

    def validate(cfg: Any) -> None:
        """Check options before anything starts, while errors still reach the terminal."""
        stock(cfg)
        options.check(cfg)
        options.with_options(Arbiter.settings, cfg)

    if not hasattr(stock, "checks_options"):  # a reload reads the configuration again
        validate.checks_options = True  # type: ignore[attr-defined]
        gunicorn.config.Config.validate = validate


def _provide(name: str, **contents: Any) -> None:
    """Register a module with these contents, for imports to find."""
    module = ModuleType(name, "The worker of slipway.serving under the name that gunicorn is given.")
    vars(module).update(contents)
    sys.modules[name] = module
    package, _, inner = name.rpartition(".")
    if package:
        setattr(importlib.import_module(package), inner, module)

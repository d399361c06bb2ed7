"""What the process model needs and gunicorn and uvicorn lack. Knows both of them; `app/` knows neither.

`install` puts our worker and arbiter in the place of the stock ones, so that the literal command
`gunicorn -k uvicorn.workers.UvicornWorker app.main:application` runs with them.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipway.serving.settings import ServerSettings


def install(settings: "ServerSettings") -> None:
    """Put our worker and arbiter in the place of uvicorn's worker and gunicorn's Arbiter; have options checked."""
    import gunicorn.app.base
    import gunicorn.config

    from slipway.serving import options
    from slipway.serving.arbiter import Arbiter
    from slipway.serving.worker import Worker

    Worker.settings = Arbiter.settings = settings
    # -k on the command line names a class by its path and beats the configuration file, so the path must lead to ours,
    # whether or not the package that has such a module is installed.
    for name in ("uvicorn.workers", "uvicorn_worker"):
        _provide(name, UvicornWorker=Worker)
    gunicorn.app.base.Arbiter = Arbiter
    stock = vars(gunicorn.config.Config)["validate"]

    def validate(cfg: Any) -> None:
        """Before anything is started, while there still is a terminal to say it on."""
        stock(cfg)
        options.check(cfg)
        options.with_options(Arbiter.settings, cfg)

    if not hasattr(stock, "checks_options"):  # a reload reads the configuration again
        validate.checks_options = True  # type: ignore[attr-defined]
        gunicorn.config.Config.validate = validate


def _provide(name: str, **contents: Any) -> None:
    """Let an import of a module find these contents."""
    module = ModuleType(name, "The worker of slipway.serving under the name that gunicorn is given.")
    vars(module).update(contents)
    sys.modules[name] = module
    package, _, inner = name.rpartition(".")
    if package:
        setattr(importlib.import_module(package), inner, module)

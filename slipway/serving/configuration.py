"""Reloads settings, code and gunicorn's configuration: all are checked first, and taken as a whole or not at all."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gunicorn.config import Config

from slipway.serving import prestart
from slipway.serving.check import Check
from slipway.serving.options import with_options
from slipway.serving.preload import Preloaded
from slipway.serving.reload import RefusedError
from slipway.serving.settings import ServerSettings
from slipway.serving.variables import check_change, variables

PRELOADED = "--preload loads the code before the fork, so a reload would keep the old one; stop and start the server"


class Configured(Protocol):
    """The part of gunicorn's arbiter that has a configuration."""

    app: Any
    cfg: Config
    log: Any
    num_workers: int
    settings: ServerSettings
    preloaded: Preloaded
    START_CTX: Mapping[Any, Any]

    def setup(self, app: Any) -> None:
        """Use the configuration of the app."""

    def adopt(self, settings: ServerSettings) -> None:
        """Use these settings, and have workers use them."""


@dataclass(frozen=True, slots=True)
class _InUse:
    """The configuration that a refused reload restores."""

    cfg: Config
    settings: ServerSettings
    variables: dict[str, str]


class Configuration:
    """The configuration in use and, during a reload, the one that will replace it."""

    def __init__(self, server: Configured) -> None:
        self._server = server
        self._before = self._in_use()
        self._new_variables: dict[str, str] | None = None

    def checks(self, clock: Any) -> list[Check]:
        """Read new settings; return the checks that must pass before they are used: --check-config and PRESTART."""
        server = self._server
        self._before, self._new_variables = self._in_use(), None
        if server.cfg.preload_app:
            raise RefusedError(PRELOADED)
        try:
            self._new_variables = variables.read()
            environment = variables.environment(self._new_variables)
            settings = ServerSettings.from_environment(environment)
            check_change(server.settings, settings)
            prestart.check_program(settings.prestart, environment.get("PATH"))
        except SystemExit as error:
            raise RefusedError(str(error)) from None
        context, seconds = server.START_CTX, server.settings.timeout
        return [
            Check([*context["args"], "--check-config"], context["cwd"], environment, seconds, clock),
            Check(prestart.command(settings.prestart), None, environment, seconds, clock),
        ]

    def take(self) -> None:
        """Read the configuration again and use it; raise RefusedError for a change that needs a restart."""
        server = self._server
        _unset_raw_env(server.cfg)
        try:
            server.app.reload()
            settings = with_options(server.settings, server.app.cfg)
        except (Exception, SystemExit) as error:  # the check has passed, so the file has changed since
            raise RefusedError(f"the configuration can't be read: {error}") from None
        _check_fixed(self._before.cfg, server.app.cfg)
        self._set_up()
        server.adopt(settings)
        server.log.reopen_files()
        server.cfg.on_reload(server)

    def restore(self) -> None:
        """Use the configuration from before `checks` again, and write its variables to the file for the next start."""
        server, before = self._server, self._before
        if self._new_variables is not None or server.app.cfg is not before.cfg:
            server.app.cfg = before.cfg
            variables.take(before.variables)
            variables.refuse(self._new_variables)
            self._set_up()
            server.adopt(before.settings)
        else:
            variables.refuse(self._new_variables)

    def changed_packages(self) -> list[str]:
        """Return the packages that were loaded before the fork and have changed since; a reload does not load them."""
        return self._server.preloaded.changed()

    def new_size(self) -> int | None:
        """Return the new configuration's number of workers; None if it has not changed."""
        return self._server.cfg.workers if self._server.cfg.workers != self._before.cfg.workers else None

    def _in_use(self) -> _InUse:
        return _InUse(self._server.cfg, self._server.settings, variables.in_use)

    def _set_up(self) -> None:
        workers = self._server.num_workers  # the number as SIGTTIN and SIGTTOU have set it
        self._server.setup(self._server.app)
        self._server.num_workers = workers


def _check_fixed(old: Config, new: Config) -> None:
    if old.address != new.address:
        addresses = ", ".join(map(str, new.address))
        raise RefusedError(f"the addresses differ from those in use ({addresses}); this needs a restart")
    for name in ("pidfile", "preload_app", "daemon"):
        if old.settings[name].get() != new.settings[name].get():
            raise RefusedError(f"{name} differs from the one in use; this needs a restart")


def _unset_raw_env(cfg: Config) -> None:
    for name in cfg.env:
        if name in cfg.env_orig:
            os.environ[name] = cfg.env_orig[name]
        else:
            os.environ.pop(name, None)

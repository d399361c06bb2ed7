"""The single app process of `make dev`: runs the app with the worker's server, on an inherited listener.

`python -m slipway.serving.development LISTENER REPORT`; both are descriptors. The process writes "ready" or the reason
of a failure to REPORT. There is no arbiter and no heartbeat, so a breakpoint can hold a request for any time, and
standard input and output are the terminal's.
"""

import asyncio
import logging
import os
import socket
import sys
import traceback
from logging.config import dictConfig

import uvicorn
from gunicorn import util

from slipway.project import ROOT, served
from slipway.serving import hooks, standing
from slipway.serving.first_error import FirstError
from slipway.serving.guarded_app import load_guarded_app
from slipway.serving.http import Http
from slipway.serving.server import Server, WorkerLifespan
from slipway.serving.settings import ServerSettings
from slipway.serving.worker import Worker
from slipway.tracebacks import one_line

DRAIN_SECONDS = 0.2  # short: nginx has no other worker for new requests, and the developer waits
GRACEFUL_SECONDS = 1.0
FAILED = 3  # exit code, as gunicorn's


class DevelopmentStart:
    """One start of the app."""

    def __init__(self, listener: socket.socket, report: int, settings: ServerSettings) -> None:
        self._listener = listener
        self._report = report
        self._settings = settings
        self._starting = standing.watch(settings.timeout, self._hangs, ROOT)
        self._listens = False

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; report the reason if the start fails."""
        first = FirstError()

        def is_no_failure(record: logging.LogRecord) -> bool:
            """Keep errors of the startup out of the log; they are reported, in one line with their place."""
            if record.levelno >= first.level:
                first.handle(record)
            return self._listens or record.levelno < logging.ERROR

        logging.getLogger("uvicorn.error").addFilter(is_no_failure)
        reason = ""
        try:
            self._serve()
        except (Exception, SystemExit):
            reason = one_line(traceback.format_exc(), ROOT)
        reason = first.text or reason
        if not self._listens:
            self._tell(reason or "its lifespan has failed and says nothing")
            sys.exit(FAILED)

    def _serve(self) -> None:
        config = uvicorn.Config(
            util.import_app(served().app),
            **{**Worker.CONFIG_KWARGS, "log_config": None, "access_log": False, "forwarded_allow_ips": "*"},
        )
        load_guarded_app(config, self._settings.guard, 0)
        config.lifespan_class = WorkerLifespan  # loading the app has set uvicorn's own
        self._server = Server(
            config,
            drain=DRAIN_SECONDS,
            graceful=GRACEFUL_SECONDS,
            tick=self._listen,
            on_ready=self._starting.cancel,
            on_drain=self._listener.close,
        )
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(self._server.serve(sockets=[]))

    async def _listen(self) -> None:
        """Start accepting at the first tick after the startup; earlier clients wait in the listener's queue."""
        if not self._listens:
            self._listens = True
            self._server.servers.append(await self._server.listen(self._listener, Http))
            self._tell("ready")

    def _hangs(self, place: str) -> None:
        where = f", and stands at ({place})" if place else ""
        self._tell(f"it is not ready after {self._settings.timeout:g} s (TIMEOUT){where}")
        os._exit(FAILED)

    def _tell(self, text: str) -> None:
        os.write(self._report, text.encode() + b"\n")


def main() -> None:
    """Serve with the settings of the environment."""
    listener, report = map(int, sys.argv[1:])
    settings = ServerSettings.from_environment()
    dictConfig({"version": 1, "disable_existing_loggers": False, **hooks.log_config(settings)})
    DevelopmentStart(socket.socket(fileno=listener), report, settings).run()


if __name__ == "__main__":
    main()

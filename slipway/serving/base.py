"""A gunicorn worker that runs uvicorn, in place of `uvicorn.workers` and of the package `uvicorn_worker`.

uvicorn has deprecated `uvicorn.workers`, and `uvicorn_worker` is one more package to install; here the command
`gunicorn -k uvicorn.workers.UvicornWorker` needs neither. The options passed to uvicorn follow theirs.
"""

import asyncio
import logging
import signal
import ssl
from typing import Any

from gunicorn.workers.base import Worker
from uvicorn import Config

SSL_OPTIONS = {
    "keyfile": "ssl_keyfile",
    "certfile": "ssl_certfile",
    "password": "ssl_keyfile_password",
    "ssl_version": "ssl_version",
    "cert_reqs": "ssl_cert_reqs",
    "ca_certs": "ssl_ca_certs",
    "ciphers": "ssl_ciphers",
}


class UvicornWorker(Worker):
    """Builds uvicorn's configuration from gunicorn's, and runs a loop."""

    CONFIG_KWARGS: dict[str, Any] = {"loop": "auto", "http": "auto"}  # noqa: RUF012 (users extend it by its name)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _share_handlers("uvicorn.error", self.log.error_log)
        _share_handlers("uvicorn.access", self.log.access_log)
        self.config = Config(
            **{
                "app": None,
                "log_config": None,
                "timeout_keep_alive": self.cfg.keepalive,
                "forwarded_allow_ips": self.cfg.forwarded_allow_ips,
                "backlog": self.cfg.settings["backlog"].value,
                **self._ssl_options(),
                **self.CONFIG_KWARGS,
            }
        )

    def init_signals(self) -> None:
        """Reset signals, for the server to handle; ignore SIGHUP, which terminals and scripts send to every process."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        for number in self.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, ignore)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        signal.signal(signal.SIGUSR1, self.handle_usr1)
        signal.siginterrupt(signal.SIGUSR1, False)

    def run(self) -> None:
        """Serve until told to stop."""
        with asyncio.Runner(loop_factory=self.config.get_loop_factory()) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        raise NotImplementedError

    def _ssl_options(self) -> dict[str, Any]:
        if not self.cfg.is_ssl:
            return {}
        given = {ours: self.cfg.ssl_options.get(theirs) for theirs, ours in SSL_OPTIONS.items()}
        given["ssl_version"] = given["ssl_version"] or ssl.PROTOCOL_TLS_SERVER
        return given


def ignore(number: int, frame: object) -> None:
    """Do nothing on a signal; unlike SIG_IGN, this is not inherited by programs that the app starts."""


def _share_handlers(name: str, stock: logging.Logger) -> None:
    """Give a logger of uvicorn the handlers of gunicorn's, unless the configuration gives it its own."""
    logger = logging.getLogger(name)
    logger.setLevel(stock.level)
    logger.handlers = logger.handlers or [*stock.handlers]
    logger.propagate = False

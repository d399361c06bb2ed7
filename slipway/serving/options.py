"""Checks gunicorn's own options, however they are given: each is honoured, or refused in one line with an alternative.

gunicorn accepts all of its options with any worker class; many are read only by its own workers, and a worker that runs
uvicorn would silently ignore them.
"""

from dataclasses import replace
from typing import Any

from gunicorn.config import Config
from gunicorn.workers import SUPPORTED_WORKERS

from slipway.environment import SettingError
from slipway.serving.settings import ServerSettings

OURS = ("uvicorn.workers.UvicornWorker", "uvicorn_worker.UvicornWorker")
# gunicorn's own classes that run under our arbiter: respawned, reloaded one by one, with a slot each.
STOCK = ("sync", "gthread", "asgi")

NGINX = "the limit of nginx holds; see nginx/nginx.conf.template"
UVICORN = "this option is read by gunicorn's own workers alone"
HTTP_2 = "nginx speaks HTTP/2 with clients"
LOG = "log lines are JSON on stdout; redirect that, and with --daemon add --enable-stdio-inheritance"
RECORD = "ACCESS_LOG=1 writes a JSON record of each request to stdout"
METRICS = "metrics are read by HTTP, from a worker"

# Refused whatever the worker class.
NEVER = {
    "reuse_port": "a listener of a worker's own loses its queue with the worker; SOCKET_DIR or SLOT_PORT gives each "
    "worker a listener that outlives it",
    "errorlog": LOG,
    "logconfig": LOG,
    "logconfig_json": LOG,
    "capture_output": LOG,
    "syslog": LOG,
    "statsd_host": METRICS,
    "enable_backlog_metric": METRICS,
    "spew": "set a breakpoint, or use a profiler",
}

# Refused for our worker, which would ignore them.
IGNORED = {
    "threads": "a worker has one event loop; WEB_CONCURRENCY sets the number of workers",
    "worker_connections": "MAX_REQUESTS_IN_FLIGHT and MAX_WEBSOCKETS limit what a worker has open",
    "limit_request_line": NGINX,
    "limit_request_fields": NGINX,
    "limit_request_field_size": NGINX,
    "accesslog": RECORD,
    "access_log_format": RECORD,
    "tmp_upload_dir": UVICORN,
    "proxy_protocol": "only HTTP is spoken with the proxy; nginx takes the PROXY protocol",
    "protocol": "only HTTP is spoken with the proxy",
    "root_path": "uvicorn takes it from CONFIG_KWARGS of a worker class, or the app from the proxy",
    "http_protocols": HTTP_2,
    "http2_cleartext": HTTP_2,
    "http2_max_concurrent_streams": HTTP_2,
    "http2_initial_window_size": HTTP_2,
    "http2_max_frame_size": HTTP_2,
    "http2_max_header_list_size": HTTP_2,
    "pre_request": "put a middleware around the app",
    "post_request": "put a middleware around the app",
    "worker_abort": "faulthandler writes the stacks of a worker that hangs",
    "do_handshake_on_connect": UVICORN,
    "suppress_ragged_eofs": UVICORN,
    "ssl_context": UVICORN,
    "sendfile": UVICORN,
    "asgi_loop": UVICORN,
    "asgi_lifespan": UVICORN,
    "asgi_disconnect_grace_period": UVICORN,
    "websocket_max_message_size": "CONFIG_KWARGS of the worker class has ws_max_size",
    "http_parser": UVICORN,
    "proxy_allow_ips": UVICORN,
    "uwsgi_allow_ips": UVICORN,
    "secure_scheme_headers": UVICORN,
    "permit_obsolete_folding": UVICORN,
    "strip_header_spaces": UVICORN,
    "permit_unconventional_http_method": UVICORN,
    "permit_unconventional_http_version": UVICORN,
    "casefold_http_method": UVICORN,
    "forwarder_headers": UVICORN,
    "header_map": UVICORN,
}


def check(cfg: Config) -> None:
    """Raise SettingError for an option that would not do what its name says."""
    ours = _is_ours(cfg)
    for name, way_out in {**NEVER, **(IGNORED if ours else {})}.items():
        if _is_set(cfg, name):
            raise SettingError(_flag(cfg, name), _shown(cfg.settings[name].get()), way_out)


def with_options(settings: ServerSettings, cfg: Config) -> ServerSettings:
    """Return the settings as gunicorn has them: options on the command line take precedence, and are checked alike."""
    if settings.has_slots and cfg.settings["bind"].value != settings.addresses():
        raise SettingError("--bind", ",".join(cfg.settings["bind"].value), "nothing, with SOCKET_DIR or SLOT_PORT")
    if settings.has_slots and cfg.workers != settings.workers:
        raise SettingError("--workers", str(cfg.workers), "nothing, with SOCKET_DIR or SLOT_PORT; WEB_CONCURRENCY")
    if cfg.loglevel.lower() != settings.log_level:
        raise SettingError("--log-level", cfg.loglevel, "nothing; LOG_LEVEL sets it for all loggers")
    changed = replace(
        settings,
        workers=cfg.workers,
        workers_reason=settings.workers_reason if cfg.workers == settings.workers else "--workers",
        timeout=cfg.timeout,
        graceful_timeout=cfg.graceful_timeout,
        graceful_shutdown=cfg.graceful_timeout - 2,
        keepalive=cfg.keepalive,
    )
    changed.check()
    return changed


def _is_ours(cfg: Config) -> bool:
    """Whether the worker class is our worker or built on it; raise SettingError if the arbiter does not support it."""
    named = cfg.settings["worker_class"].get()
    allowed = f"{OURS[0]}, {OURS[1]} or a class built on one of them, or gunicorn's own {', '.join(STOCK)}"
    if named in (*STOCK, *(SUPPORTED_WORKERS[name] for name in STOCK)):
        return False
    if not isinstance(named, str) or (named not in SUPPORTED_WORKERS and not named.endswith("UvicornH11Worker")):
        kind = cfg.worker_class  # loads it
        if hasattr(kind, "takes_handover"):
            return True
    raise SettingError("--worker-class", _shown(named), allowed)


def _is_set(cfg: Config, name: str) -> bool:
    """Whether an option differs from its default."""
    setting = cfg.settings[name]
    value, default = setting.get(), type(setting)().get()
    if callable(value) and callable(default):
        return getattr(value, "__qualname__", "") != getattr(default, "__qualname__", "")
    return bool(value != default)


def _flag(cfg: Config, name: str) -> str:
    flags = cfg.settings[name].cli or [name]
    return str(flags[-1])


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ":".join(map(str, value))
    return value if isinstance(value, str) else getattr(value, "__qualname__", str(value))

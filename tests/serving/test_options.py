"""gunicorn's options: every one is known, and an option that would be ignored is refused."""

import pytest
from gunicorn.config import KNOWN_SETTINGS, Config

from slipway.environment import SettingError
from slipway.serving.options import IGNORED, NEVER, check
from slipway.serving.worker import Worker

# Used by the arbiter, by our worker or at the start, or without effect unless a refused option is set.
HONOURED = {
    "config", "wsgi_app", "bind", "backlog", "workers", "worker_class", "max_requests", "max_requests_jitter",
    "timeout", "graceful_timeout", "keepalive", "reload", "reload_engine", "reload_extra_files", "check_config",
    "print_config", "preload_app", "chdir", "daemon", "raw_env", "pidfile", "worker_tmp_dir", "user", "group", "umask",
    "initgroups", "forwarded_allow_ips", "loglevel", "logger_class", "logconfig_dict", "enable_stdio_inheritance",
    "proc_name", "default_proc_name", "pythonpath", "paste", "raw_paste_global_conf", "keyfile", "certfile",
    "ssl_version", "cert_reqs", "ca_certs", "ciphers", "control_socket", "control_socket_mode",
    "control_socket_disable",
    # hooks
    "on_starting", "on_reload", "when_ready", "pre_fork", "post_fork", "post_worker_init", "worker_int", "pre_exec",
    "child_exit", "worker_exit", "nworkers_changed", "on_exit",
    # gunicorn's second kind of workers, which its own arbiter manages
    "dirty_apps", "dirty_workers", "dirty_timeout", "dirty_threads", "dirty_graceful_timeout", "on_dirty_starting",
    "dirty_post_fork", "dirty_worker_init", "dirty_worker_exit",
    # they belong to a refused option
    "syslog_addr", "syslog_prefix", "syslog_facility", "disable_redirect_access_to_syslog", "dogstatsd_tags",
    "statsd_prefix",
}  # fmt: skip


def configured(**options: object) -> Config:
    cfg = Config()
    cfg.set("worker_class", Worker)
    for name, value in options.items():
        cfg.set(name, value)
    return cfg


def test_every_option_of_gunicorn_is_known() -> None:
    """An option of a new gunicorn version must be honoured or refused, not ignored."""
    names = {setting.name for setting in KNOWN_SETTINGS}

    assert names == HONOURED | NEVER.keys() | IGNORED.keys()
    assert not HONOURED & (NEVER.keys() | IGNORED.keys())


def test_defaults_are_no_options() -> None:
    """Options with their default values are not refused."""
    check(configured())


def other(name: str) -> object:
    """Return a value of an option other than its default."""
    special: dict[str, object] = {
        "statsd_host": "127.0.0.1:8125",
        "protocol": "uwsgi",
        "http_protocols": "h2,h1",
        "proxy_allow_ips": "10.0.0.1",
        "uwsgi_allow_ips": "10.0.0.1",
        "sendfile": False,
        "http2_cleartext": "upgrade",
        "http_parser": "python",
        "asgi_loop": "uvloop",
        "asgi_lifespan": "on",
        "header_map": "refuse",
        "proxy_protocol": "v1",
        "secure_scheme_headers": {"X-TLS": "yes"},
        "forwarder_headers": "X-ONE",
        "pre_request": lambda worker, req: None,
        "post_request": lambda worker, req, environ, resp: None,
        "worker_abort": lambda worker: None,
        "ssl_context": lambda config, factory: None,
        "logconfig_json": "log.json",
        "tmp_upload_dir": "/tmp",
    }
    value = Config().settings[name].get()
    if name in special:
        return special[name]
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else "other"


@pytest.mark.parametrize("name", sorted(NEVER | IGNORED))
def test_what_would_be_ignored_is_refused(name: str) -> None:
    """Each option that would be ignored is refused, with the alternative."""
    with pytest.raises(SettingError) as refused:
        check(configured(**{name: other(name)}))

    assert {**NEVER, **IGNORED}[name] in str(refused.value)


@pytest.mark.parametrize("name", ["sync", "gthread", "asgi", "gunicorn.workers.gthread.ThreadWorker"])
def test_gunicorns_own_classes_read_their_options(name: str) -> None:
    """Options such as threads are refused for our worker only, and not for gunicorn's own classes."""
    check(configured(worker_class=name, threads=4, limit_request_line=100, worker_connections=10))
    with pytest.raises(SettingError):
        check(configured(worker_class=name, reuse_port=True))

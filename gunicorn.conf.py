"""The process model: `gunicorn -k uvicorn.workers.UvicornWorker app.main:application` picks this file up.

Every value comes from an environment variable that `.env.example` explains; slipway/serving/ adds what gunicorn
and uvicorn lack.
"""

from slipway import serving
from slipway.project import served
from slipway.serving import hooks
from slipway.serving.settings import ServerSettings
from slipway.serving.variables import variables

variables.take(variables.read())
settings = ServerSettings.from_environment()
serving.install(settings)

wsgi_app = served().app  # an app on the command line takes precedence
bind = settings.addresses()  # one per worker with SOCKET_DIR or SLOT_PORT, otherwise one for all workers
workers = settings.workers
worker_class = "uvicorn.workers.UvicornWorker"
umask = 0o117 if settings.socket_dir else 0  # sockets are open to user and group only, for nginx

# The ladder of time-outs, in seconds; its order is checked when the settings are read.
timeout = settings.timeout  # a worker without a heartbeat for this long is killed
graceful_timeout = settings.graceful_timeout  # for a worker to end after it is told to stop
keepalive = settings.keepalive  # longer than the proxy's, so that the proxy closes idle connections first

max_requests = settings.max_requests
max_requests_jitter = settings.max_requests_jitter

forwarded_allow_ips = settings.forwarded_allow_ips
worker_tmp_dir = hooks.tmp_dir()  # heartbeats are file operations, and a busy disk would block the worker in them
control_socket = str(settings.run_dir / f"{settings.instance}.ctl")  # by default all instances of a user share one
loglevel = settings.log_level
logconfig_dict = hooks.log_config(settings)
proc_name = f"slipway {settings.instance}"

on_starting = hooks.on_starting
when_ready = hooks.when_ready
pre_fork = hooks.pre_fork
post_fork = hooks.post_fork
pre_exec = hooks.pre_exec
post_worker_init = hooks.post_worker_init
worker_int = hooks.worker_int

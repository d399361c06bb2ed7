"""The files that containers are handed: passwords of the stores and nginx's settings, below RUN_DIR.

RUN_DIR is for its owner alone; the files in it may be read by any user, since each container has another one.
"""

import datetime
import secrets
from pathlib import Path

from slipway.environment import SettingError
from slipway.ops import edge, nginx_text
from slipway.ops.https import CHALLENGES, IMAGE, SERVER
from slipway.ops.settings import StackSettings
from slipway.ops.site import LOCATIONS

# docker-compose.yml names all of them.
PASSWORDS = {"POSTGRES_PASSWORD": "secrets/postgres-password", "REDIS_PASSWORD": "secrets/redis-password"}
NGINX = "nginx-settings/nginx.env"
EDGE = f"nginx-settings/{edge.FILE}"
HTTPS = f"nginx-settings/{SERVER}"
IN_CONTAINER = {"tls": "/etc/nginx/tls", "folder": "/etc/nginx/slipway", "filled_in": "/tmp/nginx"}
LISTEN = "8443"
SITE = f"nginx-settings/{LOCATIONS}"
ROOTS = {"folder": "/tmp/nginx", "static": "/static", "private": "/data", "challenges": f"/etc/nginx/tls/{CHALLENGES}"}


def nginx_settings(settings: StackSettings) -> bool:
    """Write nginx's; whether they are others than before."""
    values = {
        "MAX_BODY_BYTES": settings.max_body_bytes,
        "PROXY_READ_TIMEOUT": settings.proxy_read_timeout,
        "LOG_QUERY": int(settings.log_query),
        "HEALTH_PATHS": nginx_text.alternatives(settings.health_paths),
        "PRIVATE_PATHS": nginx_text.alternatives(settings.private_paths),
        "MAX_CONNECTIONS": settings.edge.max_connections or "",
        "PROXY_PROTOCOL": "proxy_protocol" if settings.edge.proxy_protocol else "",
        "ROOT_PATH": settings.edge.root_path,
        "READY_HOST": settings.ready_host,
    }
    changed = _write(settings.run_dir / EDGE, settings.edge.configuration())
    changed = _write(settings.run_dir / HTTPS, https_server(settings)) or changed
    changed = _write(settings.run_dir / SITE, locations(settings)) or changed
    return _write(settings.run_dir / NGINX, "".join(f"{name}={value}\n" for name, value in values.items())) or changed


def locations(settings: StackSettings) -> str:
    """What nginx's container serves by itself."""
    return settings.site.configuration(**ROOTS, today=datetime.date.today())


def https_server(settings: StackSettings) -> str:
    """The server that speaks TLS, as nginx's container has it."""
    return settings.https.configuration(
        LISTEN, IMAGE, words="proxy_protocol" if settings.edge.proxy_protocol else "", **IN_CONTAINER
    )


def passwords(settings: StackSettings, *, fixed: bool) -> dict[str, str]:
    """Those of PostgreSQL and Redis: what the setting says, else the one that is there, else a new one.

    While the stack serves they are `fixed`: another one raises SettingError.
    """
    wanted = {"POSTGRES_PASSWORD": settings.postgres_password, "REDIS_PASSWORD": settings.redis_password}
    found = {name: _password(settings.run_dir / path, name, wanted[name], fixed) for name, path in PASSWORDS.items()}
    for name, password in found.items():
        _write(settings.run_dir / PASSWORDS[name], password)
    return found


def _password(path: Path, name: str, wanted: str, fixed: bool) -> str:
    old = path.read_text() if path.exists() else ""
    if fixed and old and wanted not in ("", old):
        raise SettingError(name, "…", "the one that is in use, until `make down` and `make up`")
    if "\n" in wanted or "\0" in wanted:
        raise SettingError(name, "…", "one line")
    return wanted or old or secrets.token_urlsafe(24)


def _write(path: Path, text: str) -> bool:
    """Replace a file in one step, or leave it as it was; whether it has changed."""
    if path.exists() and path.read_text() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o755)
    new = path.with_name(f".{path.name}.new")
    new.touch(0o600)
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)
    return True

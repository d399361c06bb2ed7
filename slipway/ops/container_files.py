"""The files below RUN_DIR that containers read: the stores' passwords and nginx's settings.

RUN_DIR is private to its owner; these files are readable by every user, since each container runs as another one.
"""

import datetime
import secrets
from pathlib import Path

from slipway.environment import SettingError
from slipway.ops import edge, nginx_text
from slipway.ops.https import CHALLENGES, IMAGE, SERVER
from slipway.ops.settings import StackSettings
from slipway.ops.site import LOCATIONS

# docker-compose.yml has the same paths.
PASSWORDS = {"POSTGRES_PASSWORD": "secrets/postgres-password", "REDIS_PASSWORD": "secrets/redis-password"}
NGINX = "nginx-settings/nginx.env"
EDGE = f"nginx-settings/{edge.FILE}"
HTTPS = f"nginx-settings/{SERVER}"
IN_CONTAINER = {"tls": "/etc/nginx/tls", "folder": "/etc/nginx/slipway", "filled_in": "/tmp/nginx"}
LISTEN = "8443"
SITE = f"nginx-settings/{LOCATIONS}"
ROOTS = {"folder": "/tmp/nginx", "static": "/static", "private": "/data", "challenges": f"/etc/nginx/tls/{CHALLENGES}"}


def nginx_settings(settings: StackSettings) -> bool:
    """Write nginx's settings; return whether they have changed."""
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
    """Return the locations that nginx's container serves without the app."""
    return settings.site.configuration(**ROOTS, today=datetime.date.today())


def https_server(settings: StackSettings) -> str:
    """Return the TLS server's configuration in nginx's container."""
    return settings.https.configuration(
        LISTEN, IMAGE, words="proxy_protocol" if settings.edge.proxy_protocol else "", **IN_CONTAINER
    )


def passwords(settings: StackSettings, *, fixed: bool) -> dict[str, str]:
    """Write and return the passwords of PostgreSQL and Redis: the setting, else the existing one, else a new one.

    `fixed` is for a running stack: a setting that differs from the existing password raises SettingError.
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
    """Replace a file atomically if its text differs; return whether it did."""
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

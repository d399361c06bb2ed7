"""The files that containers are handed: the database's password and nginx's settings, below RUN_DIR.

RUN_DIR is for its owner alone; the files in it may be read by any user, since each container has another one.
"""

import secrets
from pathlib import Path

from slipway.environment import SettingError
from slipway.ops import nginx
from slipway.ops.settings import StackSettings

PASSWORD = "secrets/postgres-password"  # docker-compose.yml names both
NGINX = "nginx-settings/nginx.env"


def nginx_settings(settings: StackSettings) -> bool:
    """Write nginx's; whether they are others than before."""
    values = {
        "MAX_BODY_BYTES": settings.max_body_bytes,
        "PROXY_READ_TIMEOUT": settings.proxy_read_timeout,
        "LOG_QUERY": int(settings.log_query),
        "HEALTH_PATHS": nginx.alternatives(settings.health_paths),
        "PRIVATE_PATHS": nginx.alternatives(settings.project.private_paths),
    }
    return _write(settings.run_dir / NGINX, "".join(f"{name}={value}\n" for name, value in values.items()))


def password(settings: StackSettings, *, fixed: bool) -> str:
    """The database's password: POSTGRES_PASSWORD, else the one that is there, else a new one.

    While the database serves it is `fixed`: another one raises SettingError.
    """
    path = settings.run_dir / PASSWORD
    old = path.read_text() if path.exists() else ""
    wanted = settings.postgres_password
    if fixed and old and wanted not in ("", old):
        raise SettingError("POSTGRES_PASSWORD", "…", "the one that the database has, until `make down` and `make up`")
    if "\n" in wanted or "\0" in wanted:
        raise SettingError("POSTGRES_PASSWORD", "…", "one line")
    new = wanted or old or secrets.token_urlsafe(24)
    _write(path, new)
    return new


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

"""Django's settings; what differs between machines comes from the environment."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

DATA_DIR = Path(os.environ.get("DATA_DIR") or ".run/data")


def database(url: str) -> dict[str, Any]:
    """Django's form of DATABASE_URL; without one, SQLite in DATA_DIR."""
    parts = urlsplit(url)
    if parts.scheme in ("", "sqlite"):
        # WAL, and transactions that take their lock at once: with several workers the defaults fail with "locked".
        options = {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL", "timeout": 5}
        name = parts.path[1:] or str(DATA_DIR / "django.db")
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path[1:],
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or "") or secret(os.environ.get("DATABASE_PASSWORD_FILE")),
        "HOST": parts.hostname,
        "PORT": parts.port or "",
    }


def secret(path: str | None) -> str:
    """Return the content of a file with a secret; empty without one."""
    return Path(path).read_text().strip() if path and Path(path).exists() else ""


# All workers sign sessions with it. `app.prepare` creates it once, in DATA_DIR.
SECRET_FILE = DATA_DIR / "secret-key"
SECRET_KEY = os.environ.get("SECRET_KEY") or secret(str(SECRET_FILE)) or "only until app.prepare has run"
DEBUG = False
ALLOWED_HOSTS = ["*"]  # nginx decides which hosts are served

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "app",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "app.urls"
ASGI_APPLICATION = "app.asgi.application"
DATABASES = {"default": database(os.environ.get("DATABASE_URL", ""))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Carries messages to the websockets of all workers; without Redis, of one worker only.
BUS_URL = os.environ.get("BUS_URL", "")
BUS = {"address": BUS_URL}
if password := secret(os.environ.get("BUS_PASSWORD_FILE")):
    BUS["password"] = password
CHANNEL_LAYERS = {
    "default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": [BUS]}}
    if BUS_URL.startswith("redis")
    else {"BACKEND": "channels.layers.InMemoryChannelLayer"}
}

USE_TZ = True
STATIC_URL = "static/"  # below ROOT_PATH, where there is one
STATIC_ROOT = DATA_DIR / "static"  # `app.prepare` collects them there, and nginx serves them
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    # Names with a hash, so that clients may cache the files; the former release's files stay for its pages.
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}

# The scheme needs no setting: the worker has it from nginx, with or without TLS, and cookies and CSRF checks use it.
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # nginx limits bodies to MAX_BODY_BYTES
LOGGING_CONFIG = None  # records go to the server's log

"""Runs once before the workers start, and before a reload: a secret, the schema, the static files."""

import os
import secrets

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")


def make_secret() -> None:
    """Make one up if there is none; whole or not at all, and only its owner can read it."""
    from .settings import SECRET_FILE

    SECRET_FILE.parent.mkdir(parents=True, exist_ok=True)
    if not SECRET_FILE.exists():
        new = SECRET_FILE.with_name(f"{SECRET_FILE.name}.{os.getpid()}")
        new.touch(0o600)
        new.write_text(secrets.token_urlsafe(50))
        new.replace(SECRET_FILE)


def main() -> None:
    """Each step is nothing where it was done before."""
    make_secret()
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


if __name__ == "__main__":
    main()

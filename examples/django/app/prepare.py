"""Prepares secret key, schema and static files; runs once before the workers start, and before each reload."""

import os
import secrets

import django
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")


def make_secret() -> None:
    """Create a secret key if there is none, atomically and readable by its owner only."""
    from .settings import SECRET_FILE

    SECRET_FILE.parent.mkdir(parents=True, exist_ok=True)
    if not SECRET_FILE.exists():
        new = SECRET_FILE.with_name(f"{SECRET_FILE.name}.{os.getpid()}")
        new.touch(0o600)
        new.write_text(secrets.token_urlsafe(50))
        new.replace(SECRET_FILE)


def main() -> None:
    """Take all steps; a step that was taken before changes nothing."""
    make_secret()
    django.setup()
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


if __name__ == "__main__":
    main()

"""Django's commands: `python manage.py createsuperuser`, with `.run/venv/bin` first on the path."""

import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")

if __name__ == "__main__":
    execute_from_command_line(sys.argv)

"""Names in `.env` that resemble a setting."""

import pytest

from slipway.ops.misspelt import notes
from slipway.ops.settings import documented

OWN = (
    "SECRET_KEY",
    "DEBUG",
    "PORT",
    "REDIS_URL",
    "DJANGO_SETTINGS_MODULE",
    "DATABASE_URL_REPLICA",
    "EMAIL_HOST",
    "SENTRY_DSN",
    "PYTHONPATH",
    "AWS_ACCESS_KEY_ID",
    "STATIC_URL",
    "LOG_FORMAT",
    "TZ",
)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("WEB_CONCURENCY", "WEB_CONCURRENCY"),
        ("HTTPPORT", "HTTP_PORT"),
        ("http_port", "HTTP_PORT"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("READY-PATH", "READY_PATH"),
        ("MAX_BODY_BYTE", "MAX_BODY_BYTES"),
        ("GRACEFULL_TIMEOUT", "GRACEFUL_TIMEOUT"),
        ("TIMOUT", "TIMEOUT"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("PRE_START", "PRESTART"),
    ],
)
def test_misspelt_name(name: str, meant: str) -> None:
    """The note names both the misspelt name and the setting."""
    assert notes([name], documented()) == [f"{name} in .env is no setting; is {meant} meant?"]


def test_own_names_and_right_ones_pass_in_silence() -> None:
    """The reader's own variables and correct settings get no note."""
    assert notes([*OWN, *documented()], documented()) == []

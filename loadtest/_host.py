"""The stack's address, from the stack's own settings if they are here."""

import os

LOOPBACK = "127.0.0.1"
PORT = 8080


def default_host() -> str:
    """Return the address of this folder's stack; locust's own --host and LOCUST_HOST take precedence."""
    try:
        from slipway.environment import SettingError
        from slipway.ops.settings import StackSettings
    except ImportError:  # loadtest/ was copied alone
        return f"http://{LOOPBACK}:{os.environ.get('HTTP_PORT', PORT)}"
    try:
        return StackSettings.load().url
    except SettingError as error:
        raise SystemExit(f"the stack's settings: {error}") from None


HOST = default_host()

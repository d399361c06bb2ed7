"""The password of Redis from a file: of any characters, and shown in no message."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.config import AppSettings
from app.services import open_bus
from app.services.errors import Unavailable
from slipway.environment import SettingError
from tests.harness.servers import Redis

PASSWORDS = ["plain", "@/:#% $'\"\\", "é 漢", "-v", "=&?"]


def settings(redis: str, file: Path | str) -> AppSettings:
    return AppSettings.from_environment({"BUS_URL": redis, "BUS_PASSWORD_FILE": str(file)})


@contextmanager
def protected(redis: Redis, password: str) -> Iterator[None]:
    """Set a password for Redis; the connection that set it needs none."""
    with redis.client() as client:
        client.config_set("requirepass", password)
        try:
            yield
        finally:
            client.config_set("requirepass", "")


@pytest.mark.parametrize("password", PASSWORDS)
async def test_bus_with_a_password(redis: Redis, tmp_path: Path, password: str) -> None:
    """The file's password is used without a final line break; a wrong one is refused and shown nowhere."""
    file = tmp_path / "password"
    file.write_text(f"{password}\n")
    with protected(redis, password):
        bus, other = open_bus(settings(redis.url, file)), open_bus(settings(redis.url, "none"))
        await bus.start()
        assert await bus.publish("{}")
        with pytest.raises(Unavailable, match="Authentication"):
            await other.publish("{}")
        await bus.stop()
        await other.stop()


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("redis://redis:6379/0", "of the file"),
        ("redis://:mine@redis:6379/0", ""),
        ("redis://me:mine@redis:6379/0", ""),
        ("redis://redis:6379/0?password=mine", ""),
        ("unix:///run/redis.sock", "of the file"),
        ("embedded", ""),
    ],
)
def test_address_beats_the_file(tmp_path: Path, url: str, password: str) -> None:
    """The file's password is used if the address has none, as in DATABASE_PASSWORD_FILE, and is not in the repr."""
    file = tmp_path / "password"
    file.write_text("of the file")

    assert settings(url, file).bus_password == password
    assert "of the file" not in repr(settings(url, file))


def test_file_of_no_use_is_refused_by_name(tmp_path: Path) -> None:
    """A missing file is refused by its setting's name, and ignored for a bus without a password."""
    with pytest.raises(SettingError, match="BUS_PASSWORD_FILE="):
        settings("redis://redis:6379/0", tmp_path / "missing")

    assert settings("embedded", tmp_path / "missing").bus_password == ""


def test_address_that_is_none_is_refused_by_name() -> None:
    """An invalid address is refused by its setting's name, without its password."""
    with pytest.raises(SettingError, match="BUS_URL=") as raised:
        settings("redis://:secret@[bad", "")

    assert "secret" not in str(raised.value)

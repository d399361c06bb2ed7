"""The settings: their defaults, and the messages about wrong values."""

from pathlib import Path

import pytest

from app.config import AppSettings
from slipway.environment import SettingError


def test_defaults() -> None:
    """Every setting has a default, and all files are below the data folder."""
    settings = AppSettings.from_environment({})

    assert settings.database_url.render_as_string() == f"sqlite:///{Path.cwd()}/.run/data/slipway.db"
    assert (settings.bus_url, settings.max_body_bytes, settings.worker_slot) == ("embedded", 1 << 20, None)
    assert (settings.keep_messages, settings.keep_seconds, settings.keep_bytes) == (10_000, 3_600, 64 << 20)
    assert settings.messages_per_second == 100
    assert not settings.bench_endpoints


def test_empty_is_not_set() -> None:
    """An empty variable counts as unset, since compose files pass such variables."""
    names = ["DATABASE_URL", "BUS_URL", "MAX_BODY_BYTES", "ALLOWED_ORIGINS", "LOG_LEVEL", "WORKER_SLOT"]

    assert AppSettings.from_environment(dict.fromkeys(names, " ")) == AppSettings.from_environment({})


def test_values() -> None:
    """Values are read as their types."""
    settings = AppSettings.from_environment(
        {
            "DATA_DIR": "/data",
            "DATABASE_URL": "postgresql://ann:secret@db:5432/slipway",
            "BUS_URL": "redis://redis:6379/0",
            "MAX_BODY_BYTES": "10",
            "ALLOWED_ORIGINS": "https://a.example, https://b.example/ ,",
            "LOG_LEVEL": "debug",
            "BENCH_ENDPOINTS": "TRUE",
            "WORKER_SLOT": "3",
        }
    )

    assert settings.database_url.drivername == "postgresql+psycopg"
    assert settings.database_url.password == "secret"
    assert settings.bus_url == "redis://redis:6379/0"
    assert settings.max_body_bytes == 10
    assert settings.allowed_origins == {"https://a.example", "https://b.example"}
    assert (settings.log_level, settings.bench_endpoints) == ("debug", True)
    assert settings.worker_slot == 3


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("DATABASE_URL", "mysql://db/slipway", "postgresql://user:password@host:5432/name"),
        ("DATABASE_URL", "nonsense", "sqlite:///path/to/file.db"),
        ("DATABASE_URL", "postgresql://db:port/slipway", "postgresql://"),
        ("DATABASE_URL", "sqlite://", "sqlite:///path/to/file.db"),
        ("DATABASE_URL", "sqlite:///:memory:", "sqlite:///path/to/file.db"),
        ("BUS_URL", "kafka://a", "redis://host:6379/0"),
        ("MAX_BODY_BYTES", "1k", "a whole number from 1 to 1073741824"),
        ("MAX_BODY_BYTES", "0", "a whole number from 1 to"),
        ("MAX_BODY_BYTES", "1.5", "a whole number from 1 to"),
        ("KEEP_MESSAGES", "0", "a whole number from 1 to 10000000"),
        ("KEEP_SECONDS", "0", "a whole number from 1 to 31536000"),
        ("KEEP_BYTES", "1000", "a whole number from 1048576 to"),
        ("MESSAGES_PER_SECOND", "0", "a whole number from 1 to 1000000"),
        ("ALLOWED_ORIGINS", "example.com", "origins like https://example.com, separated by commas"),
        ("ALLOWED_ORIGINS", "*", "origins like https://example.com"),
        ("ALLOWED_ORIGINS", "https://example.com/path", "origins like https://example.com"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error, critical"),
        ("BENCH_ENDPOINTS", "2", "1 or 0"),
        ("PRESTARTED", "ja", "1 or 0"),
        ("WORKER_SLOT", "4097", "a whole number from -1 to 4096"),
    ],
)
def test_wrong_value(name: str, value: str, allowed: str) -> None:
    """A wrong value ends the start with one line: the variable, the value and what is allowed."""
    with pytest.raises(SettingError) as caught:
        AppSettings.from_environment({name: value})

    line = str(caught.value)
    assert line.startswith(f"{name}={value!r} is not allowed: ")
    assert allowed in line
    assert "\n" not in line


@pytest.mark.parametrize(
    "address", ["mysql://ann:s3cret@db/slipway", "postgresql://ann:s3cret@db:port/slipway", "x://ann:p@s3cret@db/"]
)
def test_password_is_not_shown(address: str) -> None:
    """The message about a wrong address does not show its password."""
    with pytest.raises(SettingError) as caught:
        AppSettings.from_environment({"DATABASE_URL": address})

    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["/" + "x" * 90, "/" + "ü" * 45 + "x"])
def test_folder_with_too_long_a_name(name: str) -> None:
    """A long DATA_DIR is refused for the embedded bus, whose socket paths may have at most 107 bytes."""
    with pytest.raises(SettingError, match=r"^DATA_DIR=.*at most 90 bytes"):
        AppSettings.from_environment({"DATA_DIR": name})

    assert AppSettings.from_environment({"DATA_DIR": name, "BUS_URL": "redis://redis"}).data_dir == Path(name)


def test_folder_with_the_longest_name() -> None:
    """A path of 90 bytes is accepted."""
    assert AppSettings.from_environment({"DATA_DIR": "/" + "x" * 89}).data_dir == Path("/" + "x" * 89)


def test_setting_error_ends_the_process() -> None:
    """A SettingError is a SystemExit, so that a starting server shows its line and no traceback."""
    assert issubclass(SettingError, SystemExit)


@pytest.mark.parametrize("password", ["plain", "@/:#% $'\"\\", "é 漢"])
def test_database_password_may_come_from_a_file(tmp_path: Path, password: str) -> None:
    """A password file may have any characters; a password in the address wins; a missing file is refused by name."""
    file = tmp_path / "password"
    file.write_text(f"{password}\n")

    def read(url: str, path: Path = file) -> str | None:
        return AppSettings.from_environment(
            {"DATABASE_URL": url, "DATABASE_PASSWORD_FILE": str(path)}
        ).database_url.password

    assert read("postgresql://slipway@db/slipway") == password
    assert read("postgresql://slipway:mine@db/slipway") == "mine"
    assert read(f"sqlite:///{tmp_path}/one.db") is None
    with pytest.raises(SettingError, match="DATABASE_PASSWORD_FILE="):
        read("postgresql://slipway@db/slipway", tmp_path / "missing")

"""The settings of the process model: the values read, and the messages about refused ones."""

from pathlib import Path

import pytest

from slipway.environment import SettingError
from slipway.project import served
from slipway.serving.settings import MAX_SOCKET_PATH, ServerSettings

BASE = {"WEB_CONCURRENCY": "3", "INSTANCE": "app"}


def settings(**variables: str) -> ServerSettings:
    return ServerSettings.from_environment({**BASE, **variables})


def test_without_settings_one_address_is_shared() -> None:
    """By default all workers share an address, the instance's name is generated, and only this machine is trusted."""
    found = ServerSettings.from_environment({"WEB_CONCURRENCY": "2"})

    assert not found.has_slots
    assert found.addresses() == ["127.0.0.1:8000"]
    assert found.socket_paths() == []
    assert found.instance.startswith("gunicorn-")
    assert found.forwarded_allow_ips == "127.0.0.1,::1"
    assert found.prestart == served({}).prestart


def test_slots_of_unix_sockets(tmp_path: Path) -> None:
    """With SOCKET_DIR each worker has a socket path, beside which all other files are."""
    found = settings(SOCKET_DIR=str(tmp_path))

    assert found.addresses() == [f"unix:{tmp_path}/app-{slot}.sock" for slot in range(3)]
    assert found.run_dir == tmp_path
    assert found.forwarded_allow_ips == "*"


def test_slots_of_ports() -> None:
    """With SLOT_PORT each worker has a port, counted upwards."""
    found = settings(SLOT_PORT="9000", SLOT_HOST="10.0.0.1")

    assert found.addresses() == ["10.0.0.1:9000", "10.0.0.1:9001", "10.0.0.1:9002"]
    assert found.forwarded_allow_ips == "127.0.0.1,::1"


def test_relative_socket_dir_is_made_absolute() -> None:
    """A relative SOCKET_DIR is made absolute, since nginx has another working directory."""
    assert settings(SOCKET_DIR="run").run_dir == Path.cwd() / "run"


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("WEB_CONCURRENCY", "0", "from 1 to 1024"),
        ("WEB_CONCURRENCY", "many", "a whole number"),
        ("GRACEFUL_TIMEOUT", "2", "from 3 to 3600"),
        ("TIMEOUT", "0", "from 4"),
        ("DRAIN_SECONDS", "nan", "a number of seconds"),
        ("LOG_LEVEL", "loud", "one of debug"),
        ("SLOT_PORT", "65534", "from 0 to 65532"),
        ("SOCKET_DIR", "/tmp/" + "x" * MAX_SOCKET_PATH, "at most 107 bytes"),
    ],
)
def test_wrong_value_is_named(name: str, value: str, allowed: str) -> None:
    """A wrong value ends the start with the variable, the value and the allowed ones."""
    with pytest.raises(SettingError) as refused:
        settings(**{name: value})

    assert str(refused.value).startswith(f"{name}=")
    assert allowed in str(refused.value)


def test_jitter_is_half_of_the_requests_unless_it_is_said() -> None:
    """The default jitter is half of MAX_REQUESTS, so that workers started together are not replaced together."""
    assert settings(MAX_REQUESTS="100").max_requests_jitter == 50
    assert settings(MAX_REQUESTS="100", MAX_REQUESTS_JITTER="7").max_requests_jitter == 7


def test_prestart_can_be_switched_off() -> None:
    """`PRESTART=none` runs nothing, and any other value is split as by a shell."""
    assert settings(PRESTART="none").prestart == ()
    assert settings(PRESTART="python 'my script.py' -q").prestart == ("python", "my script.py", "-q")

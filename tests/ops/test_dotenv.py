"""`.env` files: the grammar of docker compose, by a table that the container tests compare with compose itself."""

from pathlib import Path

import pytest

from slipway.environment import SettingError
from slipway.ops import dotenv
from tests.ops.dotenv_cases import CASES, ENVIRONMENT, NAMES


def write(folder: Path, text: str) -> Path:
    path = folder / ".env"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(("text", "meant"), CASES)
def test_value(tmp_path: Path, text: str, meant: dict[str, str] | None) -> None:
    """Each file means what docker compose makes of it, or is refused in one line."""
    path = write(tmp_path, text)
    if meant is None:
        with pytest.raises(SettingError, match=r"\.env") as raised:
            dotenv.read(path, ENVIRONMENT)

        assert "\n" not in str(raised.value)
    else:
        found = dotenv.read(path, ENVIRONMENT)

        assert {name: found[name] for name in NAMES if name in found} == meant


def test_no_file(tmp_path: Path) -> None:
    """A missing file sets nothing."""
    assert dotenv.read(tmp_path / ".env", {}) == {}


def test_line_is_named(tmp_path: Path) -> None:
    """The message has the number of the line, but not its value, which may be a password."""
    path = write(tmp_path, "HTTP_PORT=8090\n\nPASSWORD='secret\n")

    with pytest.raises(SettingError, match=r"\.env line 3='PASSWORD'") as raised:
        dotenv.read(path, {})
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("content", [b"A=\xff\n", b"A=1\0\n"])
def test_bytes_that_are_no_text(tmp_path: Path, content: bytes) -> None:
    """Bytes that no environment can hold are refused in one line."""
    path = tmp_path / ".env"
    path.write_bytes(content)

    with pytest.raises(SettingError, match="UTF-8"):
        dotenv.read(path, {})

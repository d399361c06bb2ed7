"""The files passed to containers: whole, readable for each of their users, in a folder for its owner alone."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.environment import SettingError
from slipway.ops import container_files
from slipway.ops.change import one_change
from slipway.ops.settings import StackSettings

PASSWORDS = ["plain", "with space", "@/:#%", "$HOME ${X} $$", "'\"\\`", "é 漢", "-v", "=&?"]


@pytest.fixture(params=[0o022, 0o077], autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """The usual umasks of users."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def settings(folder: Path, **variables: str) -> StackSettings:
    return StackSettings.of({"RUN_DIR": str(folder), **variables}, {})


@pytest.mark.parametrize("name", container_files.PASSWORDS)
@pytest.mark.parametrize("password", PASSWORDS)
def test_given_password_is_written_whole(tmp_path: Path, name: str, password: str) -> None:
    """A password of any characters is written whole and readable for containers, which have other users."""
    found = container_files.passwords(settings(tmp_path, **{name: password}), fixed=False)
    path = tmp_path / container_files.PASSWORDS[name]

    assert found[name] == path.read_text() == password
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755


@pytest.mark.parametrize("name", container_files.PASSWORDS)
@pytest.mark.parametrize("before", [None, ""])
def test_password_is_made_up_once(tmp_path: Path, name: str, before: str | None) -> None:
    """Each store gets its own password once; an empty file, as a full disk once left it, counts as none."""
    if before is not None:
        (tmp_path / "secrets").mkdir()
        (tmp_path / container_files.PASSWORDS[name]).write_text(before)
    first = container_files.passwords(settings(tmp_path), fixed=False)

    assert len(first[name]) > 20
    assert len({*first.values()}) == len(container_files.PASSWORDS)
    assert container_files.passwords(settings(tmp_path), fixed=True) == first


@pytest.mark.parametrize("name", container_files.PASSWORDS)
def test_other_password_is_refused_while_the_stack_serves(tmp_path: Path, name: str) -> None:
    """The message names the variable and no password, and no file changes."""
    container_files.passwords(settings(tmp_path, **{name: "one"}), fixed=False)
    with pytest.raises(SettingError) as raised:
        container_files.passwords(settings(tmp_path, **{name: "other"}), fixed=True)

    assert raised.value.name == name
    assert "other" not in str(raised.value)
    assert (tmp_path / container_files.PASSWORDS[name]).read_text() == "one"


def test_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk empties no file."""
    container_files.nginx_settings(settings(tmp_path))
    before = (tmp_path / container_files.NGINX).read_text()

    def full(path: Path, text: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        container_files.nginx_settings(settings(tmp_path, MAX_BODY_BYTES="7"))

    assert (tmp_path / container_files.NGINX).read_text() == before


@pytest.mark.parametrize("name", container_files.PASSWORDS)
def test_password_is_in_no_representation(tmp_path: Path, name: str) -> None:
    """No password is in the repr of StackSettings, which a checker or a traceback may print."""
    shown = repr(settings(tmp_path, **{name: "hidden-one"}))

    assert "hidden-one" not in shown


@pytest.mark.parametrize("before", [None, 0o755, 0o777])
def test_our_folder_is_for_its_owner_alone(tmp_path: Path, before: int | None) -> None:
    """The folder is for its owner alone, whether it is new or from an earlier version."""
    folder = tmp_path / ".run"
    if before is not None:
        folder.mkdir()
        folder.chmod(before)
    with one_change(folder, "up"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_folder_of_others_stays_as_it_is(tmp_path: Path) -> None:
    """A folder of others keeps its mode, since RUN_DIR may name any folder, such as /tmp."""
    tmp_path.chmod(0o1777)
    with one_change(tmp_path, "up"):
        assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777

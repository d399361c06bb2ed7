"""`[tool.slipway]`: its keys, and what of them applies to another app."""

from pathlib import Path

import pytest

from slipway.environment import SettingError
from slipway.project import Project, served


def write(folder: Path, table: str) -> Path:
    path = folder / "pyproject.toml"
    path.write_text(f"[tool.slipway]\n{table}\n")
    return path


def test_every_key(tmp_path: Path) -> None:
    """Each key is read, and the ready path becomes a health path without being listed twice."""
    table = """
    app = "yours.main:create()"
    prestart = "python -m 'your migrations'"
    ready_path = "/up"
    health_paths = ["/alive", "/up"]
    private_paths = ["/internal"]
    baseline = "yours.wsgi:application"
    """

    assert Project.read(write(tmp_path, table)) == Project(
        app="yours.main:create()",
        prestart=("python", "-m", "your migrations"),
        ready_path="/up",
        health_paths=("/up", "/alive"),
        private_paths=("/internal",),
        baseline="yours.wsgi:application",
    )


def test_least_table(tmp_path: Path) -> None:
    """A table needs an app only."""
    assert Project.read(write(tmp_path, 'app = "yours:app"')) == Project("yours:app")


WRONG = [
    ("", "app=''"),
    ('app = "yours"', "app='yours'"),
    ('app = "yours:"', "app='yours:'"),
    ('app = "your-app.main:app"', "app='your-app"),
    ("app = 3", "app='3'"),
    ('app = "a:b"\nprestart = "sh -c \'true"', "prestart="),
    ('app = "a:b"\nprestart = "\'\'"', "prestart="),
    ('app = "a:b"\nprestart = ["sh"]', "prestart="),
    ('app = "a:b"\nready_path = "up"', "ready_path='up'"),
    ('app = "a:b"\nhealth_paths = "/up"', "health_paths='/up'"),
    ('app = "a:b"\nprivate_paths = [3]', "private_paths='3'"),
    ('app = "a:b"\nbaseline = "wsgi"', "baseline='wsgi'"),
    ('app = "a:b"\nreadypath = "/up"', "readypath='/up'"),
    ('app = "a:b', "readable TOML"),
]


@pytest.mark.parametrize(("table", "named"), WRONG)
def test_wrong_values_are_named(tmp_path: Path, table: str, named: str) -> None:
    """A wrong table ends the start with one line that names the key and the value."""
    with pytest.raises(SettingError) as raised:
        Project.read(write(tmp_path, table))

    assert named in str(raised.value)
    assert "\n" not in str(raised.value)


def test_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is reported in one line with its name."""
    with pytest.raises(SettingError, match=r"pyproject\.toml"):
        Project.read(tmp_path / "pyproject.toml")


def test_another_app_has_nothing_of_ours() -> None:
    """If APP names another app, neither the migrations nor the paths of the project's own app are used."""
    assert served({"APP": "yours.main:app"}) == Project("yours.main:app")
    assert served({"APP": Project.read().app}) == served({}) == Project.read()


def test_app_that_is_no_callable() -> None:
    """The message about an invalid app names the variable."""
    with pytest.raises(SettingError, match="APP='yours'"):
        served({"APP": "yours"})

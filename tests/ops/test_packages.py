"""Installed packages are found, and never installed again."""

import os
from pathlib import Path

import pytest

from slipway.ops import packages
from slipway.ops.console import Failure


def test_a_package_whose_folder_is_there_is_not_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package counts as installed if its folder exists, since PostgreSQL's programs are not on the path."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    packages.install({"postgresql": str(tmp_path)})

    with pytest.raises(Failure, match="postgresql"):
        packages.install({"postgresql": str(tmp_path / "none")})


def test_a_folder_of_the_project_is_no_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder in the working directory, such as our `nginx`, does not count as a program."""
    (tmp_path / "no-such-program").mkdir()
    monkeypatch.chdir(tmp_path)

    assert packages.find("no-such-program") is None

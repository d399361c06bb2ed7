"""The environment of a new clone."""

import subprocess
from pathlib import Path

import pytest

from slipway.ops import setup


def test_first_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a clone that has never run anything the folder, the link and the environment are made."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "none.txt").touch()
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    run_dir = tmp_path / "new" / ".run"

    binaries = setup.environment(run_dir, "requirements/none.txt")

    assert subprocess.run([binaries / "python", "-c", ""]).returncode == 0
    assert (run_dir / "venv").resolve() == binaries.parent
    assert setup.is_current(run_dir, "requirements/none.txt")
    assert run_dir.stat().st_mode & 0o077 == 0

"""The environment of a new clone."""

import subprocess
from pathlib import Path

import pytest

from slipway.ops import setup
from slipway.ops.console import Failure


def test_first_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a clone that has never run anything, the folder, the link and the environment are created."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "none.txt").touch()
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    run_dir = tmp_path / "new" / ".run"

    binaries = setup.environment(run_dir, "requirements/none.txt")

    assert subprocess.run([binaries / "python", "-c", ""]).returncode == 0
    assert (run_dir / "venv").resolve() == binaries.parent
    assert setup.is_current(run_dir, "requirements/none.txt")
    assert run_dir.stat().st_mode & 0o077 == 0


def test_what_is_no_environment_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link to other files, such as a whole Python, is refused in one line, and nothing there is removed."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "none.txt").touch()
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    python = tmp_path / "python" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / ".run").mkdir()
    (tmp_path / ".run" / "venv").symlink_to(tmp_path / "python")

    with pytest.raises(Failure, match="python is no virtual environment: move it away"):
        setup.environment(tmp_path / ".run", "requirements/none.txt")

    assert python.exists()

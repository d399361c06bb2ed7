"""docker compose reads `.env` files as the table of cases says."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.ops.dotenv_cases import CASES, ENVIRONMENT, NAMES


@pytest.mark.parametrize(("text", "meant"), CASES)
def test_compose_agrees(tmp_path: Path, text: str, meant: dict[str, str] | None) -> None:
    """`docker compose config` shows the values in the table, or refuses the file where the table has none."""
    (tmp_path / ".env").write_bytes(text.encode())
    service = {"image": "none", "environment": dict.fromkeys(NAMES)}
    (tmp_path / "compose.yml").write_text(json.dumps({"services": {"one": service}}))
    environment = {"PATH": os.environ["PATH"], **ENVIRONMENT}
    command = ["docker", "compose", "config", "--format", "json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    if meant is None:
        assert done.returncode != 0
    else:
        values = json.loads(done.stdout)["services"]["one"]["environment"]
        assert {name: value.replace("$$", "$") for name, value in values.items() if value is not None} == meant

"""Dashboard and alert rules use exported metrics, and the rules fire when they should."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from slipway.metrics.exposition import families
from slipway.ops.observe import FOLDER, prepare

WORDS = {"sum", "rate", "by", "le", "histogram_quantile", "increase", "or", "vector"}
PROMETHEUS_OWN = {"up"}


def rules() -> list[str]:
    (group,) = YAML(typ="safe").load((FOLDER / "rules.yml").read_text())["groups"]
    return [rule["expr"] for rule in group["rules"]]


def panels() -> list[str]:
    board = json.loads((FOLDER / "dashboard.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def names(expression: str) -> set[str]:
    """Return the metrics of an expression: words that are no function, label or text."""
    bare = re.sub(r'"[^"]*"|\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)', " ", expression)
    return {*re.findall(r"[a-z_][a-z0-9_]*", bare)} - WORDS


@pytest.mark.parametrize("expression", [*rules(), *panels()])
def test_metrics_of_expressions(expression: str) -> None:
    """Each expression uses metrics, and only exported ones."""
    named = names(expression)

    assert named
    assert named <= families() | PROMETHEUS_OWN


def test_every_rule_is_tested() -> None:
    """Each alert has a case in which it fires and one in which it does not."""
    groups = YAML(typ="safe").load((FOLDER / "rules.yml").read_text())["groups"]
    cases = YAML(typ="safe").load((FOLDER / "rules_test.yml").read_text())["tests"]
    tested = [(each["alertname"], bool(each["exp_alerts"])) for case in cases for each in case["alert_rule_test"]]

    assert sorted(tested) == sorted((r["alert"], fires) for g in groups for r in g["rules"] for fires in (False, True))


@pytest.mark.parametrize("command", [("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")])
def test_rules_pass(command: tuple[str, ...]) -> None:
    """promtool reads the rules, and their own tests pass."""
    done = subprocess.run([promtool(), *command], cwd=FOLDER, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_configuration(tmp_path: Path) -> None:
    """The configuration that `make observe` writes is valid, also below a folder with a space in its name."""
    folder = tmp_path / "a b"
    done = subprocess.run(
        [promtool(), "check", "config", str(prepare(folder, ["127.0.0.1:9464"]))], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((folder / "targets.json").read_text()) == [{"targets": ["127.0.0.1:9464"]}]


def promtool() -> str:
    found = shutil.which("promtool")
    assert found is not None, "promtool is of Debian's package prometheus, which make test installs"
    return found

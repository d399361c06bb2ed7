"""One name, one class: two classes with the same name would leave a reader to guess which one is meant."""

import ast
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from slipway.ops.rules import Rules
from slipway.ops.settings import ROOT

FOLDERS = ("app", "slipway", "bench", "loadtest")
PEERS = "bench/layers/apps"
# One concept in several frameworks: the user of the shipped app's API, written as each framework's documentation does.
SAME_CONCEPT = {
    "User": {"app/services/users.py", f"{PEERS}/fastapi_app.py"},
    "NewUser": {f"{PEERS}/fastapi_app.py", f"{PEERS}/litestar_app.py"},
}


def classes(root: Path, folders: Sequence[str] = FOLDERS) -> dict[str, set[str]]:
    """Return the files of each class name, nested classes included; two classes in one file count as two."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted(path for folder in folders for path in (root / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                place = str(path.relative_to(root))
                found[node.name].add(f"{place}:{node.lineno}" if place in found[node.name] else place)
    return found


def test_classes_are_found(tmp_path: Path) -> None:
    """Classes are found in several folders, twice in one file, and within functions."""
    (tmp_path / "app").mkdir()
    (tmp_path / "slipway").mkdir()
    (tmp_path / "app" / "one.py").write_text("class A: ...\ndef f() -> None:\n    class A: ...\n")
    (tmp_path / "slipway" / "two.py").write_text("class A: ...\nclass B: ...\n")

    assert classes(tmp_path) == {"A": {"app/one.py", "app/one.py:3", "slipway/two.py"}, "B": {"slipway/two.py"}}


def test_one_class_name_means_one_thing() -> None:
    """No two of our classes have the same name, except for the same concept in several frameworks."""
    ours = [folder for folder in FOLDERS if folder in Rules.of().ours]  # a project's own app is named by its author
    twice = {name: places for name, places in classes(ROOT, ours).items() if len(places) > 1}

    assert {name: places for name, places in twice.items() if places != SAME_CONCEPT.get(name)} == {}

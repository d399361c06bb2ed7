"""Replaces `app/` in a copy of the template by an example: `python -m slipway.ops.place EXAMPLE NAME ANSWERS`.

copier.yml runs it for a new project and for an upgrade, where copier compares a project made from the old version with
one made from the new. Files that belong to the author from the start are not overwritten. Standard library only.
"""

import json
import re
import shutil
import sys
import tomllib
from pathlib import Path
from string import Template

ANSWERS = ".copier-answers.yml"  # copier's name for it; JSON is valid YAML
SHIPPED = "shipped"  # no example: the tree as it is
LOADTEST = re.compile(r"^# The load generator.*?\nFROM.*?(?=^FROM )", re.MULTILINE | re.DOTALL)
CARRYING = re.compile(r"^dependencies = \[\n(.*?)^ *# The shipped app's", re.MULTILINE | re.DOTALL)


def place(root: Path, example: str, name: str, answers: str) -> None:
    """Turn the copy of the template in a folder into a project."""
    (root / ANSWERS).write_text(
        f"# For `make upgrade`; copier writes it.\n{json.dumps(json.loads(answers), indent=2)}\n"
    )
    if example == SHIPPED:
        return
    source = root / "examples" / example
    words = {
        "name": name,
        "example": example,
        "about": _section((source / "README.md").read_text()),
        **_project((root / "pyproject.toml").read_text(), (source / "pyproject.toml").read_text()),
    }
    (root / "pyproject.toml").write_text(_filled(root / "template" / "project.toml", words))
    _once(root / "README.md", _filled(root / "template" / "README.md", words))
    _once(root / ".github" / "workflows" / "ci.yml", (root / "template" / "workflows" / "ci.yml").read_text())
    _move(source, root)
    dockerfile = root / "Dockerfile"
    dockerfile.write_text(LOADTEST.sub("", dockerfile.read_text()))
    for folder in ("examples", "template"):
        shutil.rmtree(root / folder)


def _project(template: str, example: str) -> dict[str, str]:
    """Return the parts of pyproject.toml: the packages that any app needs, the example's own, and its table."""
    carrying = CARRYING.search(template)
    if carrying is None:
        raise ValueError("pyproject.toml of the template has no block of what carries any app")
    packages = tomllib.loads(example)["project"]["dependencies"]
    return {
        "carrying": carrying[1].rstrip("\n"),
        "dependencies": "\n".join(f'    "{package}",' for package in packages),
        "table": example[example.index("[tool.slipway]") :].strip(),
    }


def _filled(path: Path, words: dict[str, str]) -> str:
    text = Template(path.read_text()).substitute(words)
    return re.sub(r"(?<=dependencies = \[)\n(.*?)\n\n(?=\])", r"\n\1\n", text, count=1, flags=re.DOTALL)


def _section(readme: str) -> str:
    """Return an example's README as a section of another page."""
    return re.sub(r"^# ", "## The app: ", readme).strip()


def _move(source: Path, root: Path) -> None:
    """Move the example's files, except the two already used, without overwriting any of the author's."""
    for path in sorted(source.iterdir()):
        if path.name not in ("README.md", "pyproject.toml") and not (root / path.name).exists():
            shutil.move(path, root / path.name)


def _once(path: Path, text: str) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def main(arguments: list[str]) -> None:
    """Make the project in the working directory, which copier sets."""
    example, name, answers = arguments
    place(Path.cwd(), example, name, answers)


if __name__ == "__main__":
    main(sys.argv[1:])

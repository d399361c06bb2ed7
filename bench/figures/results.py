"""The results folder of a run: one JSON file per step, written atomically, and a description of the run."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[1] / "results"
AGAIN = " again"  # marks the label of the A/A control: the first arm under another name


class Results:
    """Reads and writes one folder, the only source of the report."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.raw = folder / "raw"
        self.logs = folder / "logs"

    def create(self, about: dict[str, Any]) -> None:
        self.raw.mkdir(parents=True)
        self.logs.mkdir()
        self._write(self.folder / "about.json", about)

    @property
    def about(self) -> dict[str, Any]:
        return self._read(self.folder / "about.json")

    def has(self, number: int) -> bool:
        return self._path(number).exists()

    def save(self, number: int, data: dict[str, Any]) -> None:
        self._write(self._path(number), data)

    def load(self, number: int) -> dict[str, Any]:
        return self._read(self._path(number))

    def save_extra(self, name: str, data: dict[str, Any]) -> None:
        self._write(self.folder / f"{name}.json", data)

    def extra(self, name: str) -> dict[str, Any]:
        path = self.folder / f"{name}.json"
        return self._read(path) if path.exists() else {}

    def all(self) -> Iterator[dict[str, Any]]:
        for path in sorted(self.raw.glob("*.json")):
            yield self._read(path)

    def _path(self, number: int) -> Path:
        return self.raw / f"{number:05}.json"

    def _write(self, path: Path, data: dict[str, Any]) -> None:
        new = path.with_suffix(".new")
        new.write_text(json.dumps(data, sort_keys=True) + "\n")
        new.replace(path)

    def _read(self, path: Path) -> dict[str, Any]:
        return dict(json.loads(path.read_text()))


def now() -> str:
    """The current UTC time, as results folders are named."""
    return time.strftime("%Y-%m-%d-%H%M%S", time.gmtime())


def latest() -> Path | None:
    """The newest results folder."""
    found = sorted(path.parent for path in HOME.glob("*/about.json"))
    return found[-1] if found else None

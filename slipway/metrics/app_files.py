"""An app's own metrics, if made with prometheus_client: files for each worker process, merged when it ends.

prometheus_client keeps the files of every process that ever ran. Here the files of an ended worker are added to one
file for each kind and removed, so that their number does not grow with reloads. No file has two writers.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's name
ADDED_UP = ("counter", "histogram", "summary")  # kinds whose values outlive their process


class AppFiles:
    """The files of one server. `folder` is None where there is no room, or PROMETHEUS_MULTIPROC_DIR is set already."""

    def __init__(self, name: str) -> None:
        memory = Path("/dev/shm")
        base = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        self._names = f"slipway-{os.getuid()}-{digest}-"
        self.folder: Path | None = base / f"{self._names}{os.getpid()}"
        self._sums: dict[str, Any] = {}

    def begin(self) -> None:
        """Make an empty folder, and remove those that killed servers have left."""
        if os.environ.get(VARIABLE) or self.folder is None:
            self.folder = None
            return
        try:
            for path in self.folder.parent.glob(f"{self._names}*"):
                if not Path("/proc", path.name.rpartition("-")[2]).exists():
                    shutil.rmtree(path, ignore_errors=True)
            self.folder.mkdir(mode=0o700)
        except OSError:
            self.folder = None

    def end(self) -> None:
        """Close the sums and remove the folder, when the server stops."""
        for sums in self._sums.values():
            with suppress(Exception):
                sums.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def in_worker(self) -> None:
        """Make the app's metrics go into files, before its import. The arbiter may have imported prometheus_client."""
        if self.folder is None:
            return
        os.environ[VARIABLE] = str(self.folder)
        values: Any = sys.modules.get("prometheus_client.values")
        if values is not None:
            values.ValueClass = values.get_value_class()

    def fold(self, pid: int) -> None:
        """Add the counts of an ended process to the sums, and remove its files."""
        if self.folder is None:
            return
        for path in self.folder.glob(f"*_{pid}.db"):
            kind = path.name.partition("_")[0]
            if kind in ADDED_UP:
                with suppress(Exception):  # a truncated file loses only its own counts
                    self._add(kind, path)
            path.unlink(missing_ok=True)

    def _add(self, kind: str, path: Path) -> None:
        from prometheus_client.mmap_dict import MmapedDict

        assert self.folder is not None
        if kind not in self._sums:
            self._sums[kind] = MmapedDict(str(self.folder / f"{kind}_ended.db"))  # type: ignore[no-untyped-call]
        sums = self._sums[kind]
        for key, value, timestamp, _ in [*MmapedDict.read_all_values_from_file(str(path))]:  # type: ignore[no-untyped-call]
            before, _ = sums.read_value(key)
            sums.write_value(key, before + value, timestamp)

    def collect(self) -> Iterator[Any]:
        """Yield the app's metric families."""
        if self.folder is None or not any(self.folder.iterdir()):
            return
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        collector: Any = MultiProcessCollector
        yield from collector(CollectorRegistry(), path=str(self.folder)).collect()

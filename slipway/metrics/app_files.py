"""An app's own metrics, if it makes them with prometheus_client: a file for each worker's process, folded at its end.

prometheus_client keeps a file for every process that there ever was; here those of a worker that has ended are added
to one file and removed, so that there are as many after a hundred reloads as after one. No file has two writers.
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
    """The folder of one server; None where there is no room for it, or the reader has one of their own."""

    def __init__(self, name: str) -> None:
        memory = Path("/dev/shm")
        base = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        self._names = f"slipway-{os.getuid()}-{digest}-"
        self.folder: Path | None = base / f"{self._names}{os.getpid()}"
        self._sums: dict[str, Any] = {}

    def begin(self) -> None:
        """Start empty; what a killed server has left goes."""
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
        """The server stops."""
        for sums in self._sums.values():
            with suppress(Exception):
                sums.close()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def in_worker(self) -> None:
        """Before the app is loaded: its metrics go into files. The module may have come from the arbiter."""
        if self.folder is None:
            return
        os.environ[VARIABLE] = str(self.folder)
        values: Any = sys.modules.get("prometheus_client.values")
        if values is not None:
            values.ValueClass = values.get_value_class()

    def fold(self, pid: int) -> None:
        """Add what a process that has ended has counted to the sums, and remove its files."""
        if self.folder is None:
            return
        for path in self.folder.glob(f"*_{pid}.db"):
            kind = path.name.partition("_")[0]
            if kind in ADDED_UP:
                with suppress(Exception):  # a file that was cut off costs what it holds
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
        """The families of the app."""
        if self.folder is None or not any(self.folder.iterdir()):
            return
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        collector: Any = MultiProcessCollector
        yield from collector(CollectorRegistry(), path=str(self.folder)).collect()

"""`make observe`: Prometheus with our rules for the stack that runs, until interrupted."""

import json
import subprocess
import threading
from pathlib import Path

from slipway.ops import packages, wait
from slipway.ops.console import Failure, say
from slipway.ops.runtime import Runtime
from slipway.ops.settings import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
ADDRESS = ("127.0.0.1", 9090)
TARGET_SECONDS = 5.0  # a deploy brings a container with another address


def run(runtime: Runtime) -> None:
    """Write where the metrics are, and run Prometheus beside it."""
    packages.install({"prometheus": "prometheus"})
    if not wait.is_free(*ADDRESS):
        raise Failure(f"port {ADDRESS[1]} is in use by another program")
    folder = runtime.settings.run_dir / "prometheus"
    configuration = prepare(folder, runtime.metrics_targets())
    ended = threading.Event()
    threading.Thread(target=follow, args=(runtime, folder, ended), daemon=True).start()
    say(f"  http://{ADDRESS[0]}:{ADDRESS[1]}  Prometheus, its alerts at /alerts")
    say(f"  {FOLDER / 'dashboard.json'}  a dashboard, to import into Grafana")
    command = ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}"]
    command += [
        f"--web.listen-address={ADDRESS[0]}:{ADDRESS[1]}",
        "--storage.tsdb.retention.time=7d",
        "--log.level=warn",
    ]
    try:
        code = subprocess.run(command).returncode
    except KeyboardInterrupt:
        return
    finally:
        ended.set()
    if code:
        raise Failure(f"prometheus has ended with {code}")


def prepare(folder: Path, targets: list[str]) -> Path:
    """Write the configuration and the targets below a folder; return the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_targets(folder, targets)
    text = (FOLDER / "prometheus.yml").read_text()
    paths = {"RULES": FOLDER / "rules.yml", "TARGETS": folder / "targets.json"}
    for name, path in paths.items():
        text = text.replace(f"${{{name}}}", str(path))
    configuration = folder / "prometheus.yml"
    configuration.write_text(text)
    return configuration


def write_targets(folder: Path, targets: list[str]) -> None:
    """Prometheus reads the file anew when it has changed."""
    new = folder / "targets.json.new"
    new.write_text(json.dumps([{"targets": targets}]))
    new.replace(folder / "targets.json")


def follow(runtime: Runtime, folder: Path, ended: threading.Event) -> None:
    """Keep the targets right while the stack changes."""
    known: list[str] = []
    while not ended.wait(TARGET_SECONDS):
        try:
            targets = runtime.metrics_targets()
        except Failure:  # nothing serves at the moment
            continue
        if targets != known:
            write_targets(folder, targets)
            known = targets

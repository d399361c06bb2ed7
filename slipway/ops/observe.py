"""`make observe`: Prometheus with our rules and dashboard for the running stack, until interrupted."""

import json
import subprocess
import threading
from pathlib import Path

from slipway.ops import dashboard, packages, wait
from slipway.ops.console import Failure, say
from slipway.ops.runtime import Runtime
from slipway.ops.settings import ROOT, StackSettings

FOLDER = ROOT / "deploy" / "prometheus"
HOST = "127.0.0.1"
DASHBOARD = "slipway.html"
TARGET_SECONDS = 5.0  # between two checks; a new container has another address


def run(runtime: Runtime) -> None:
    """Write the configuration and the targets, and run Prometheus with them."""
    packages.install({"prometheus": "prometheus"})
    port = StackSettings.load_leniently(say).prometheus_port  # current; at the stack's start it may have differed
    if problem := wait.obstacle(HOST, port):
        raise Failure(f"PROMETHEUS_PORT={port} on {HOST} {problem}")
    folder = runtime.settings.run_dir / "prometheus"
    configuration = prepare(folder, runtime.metrics_targets())
    ended = threading.Event()
    threading.Thread(target=follow, args=(runtime, folder, ended), daemon=True).start()
    say(f"  http://{HOST}:{port}/consoles/{DASHBOARD}  the dashboard")
    say(f"  http://{HOST}:{port}/alerts  alerts; Prometheus")
    say(f"  {FOLDER / 'dashboard.json'}  the dashboard, to import into Grafana")
    try:
        code = subprocess.run(command(folder, configuration, port)).returncode
    except KeyboardInterrupt:
        return
    finally:
        ended.set()
    if code:
        raise Failure(f"prometheus has ended with {code}")


def command(folder: Path, configuration: Path, port: int) -> list[str]:
    """Return the command of Prometheus on loopback, with its data below a folder."""
    options = {
        "config.file": configuration,
        "storage.tsdb.path": folder / "data",
        "storage.tsdb.retention.time": "7d",
        "web.listen-address": f"{HOST}:{port}",
        "web.console.templates": folder / "consoles",
        "web.console.libraries": folder / "consoles",
        "log.level": "warn",
    }
    return [packages.find("prometheus") or "prometheus", *(f"--{name}={value}" for name, value in options.items())]


def prepare(folder: Path, targets: list[str]) -> Path:
    """Write the configuration, the targets and the dashboard below a folder; return the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    dashboard.write(FOLDER / "dashboard.json", folder / "consoles", DASHBOARD)
    write_targets(folder, targets)
    text = (FOLDER / "prometheus.yml").read_text()
    paths = {"RULES": FOLDER / "rules.yml", "TARGETS": folder / "targets.json"}
    for name, path in paths.items():
        text = text.replace(f"${{{name}}}", str(path))
    configuration = folder / "prometheus.yml"
    configuration.write_text(text)
    return configuration


def write_targets(folder: Path, targets: list[str]) -> None:
    """Replace the file of targets; Prometheus rereads it when it changes."""
    new = folder / "targets.json.new"
    new.write_text(json.dumps([{"targets": targets}]))
    new.replace(folder / "targets.json")


def follow(runtime: Runtime, folder: Path, ended: threading.Event) -> None:
    """Rewrite the targets whenever the stack's addresses change."""
    known: list[str] = []
    while not ended.wait(TARGET_SECONDS):
        try:
            targets = runtime.metrics_targets()
        except Failure:  # nothing serves at the moment
            continue
        if targets != known:
            write_targets(folder, targets)
            known = targets

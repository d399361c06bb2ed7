"""Controls a running instance: `python -m slipway.serving.ctl VERB`, in the environment of the instance."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from slipway.serving.links import publish, runs
from slipway.serving.result import CHANGED_PACKAGES, summary
from slipway.serving.settings import ServerSettings

POLL_SECONDS = 0.05


def main() -> None:
    """Run one verb; exit with code 1 and the reason if it fails."""
    verbs = {
        "reload": reload,
        "ready": ready,
        "status": status,
        "metrics": metrics,
        "doctor": doctor,
        "kill": kill,
        "publish": put_into_service,
    }
    if len(sys.argv) != 2 or sys.argv[1] not in verbs:
        sys.exit(f"usage: python -m slipway.serving.ctl {' | '.join(verbs)}")
    verbs[sys.argv[1]](ServerSettings.from_environment())


def reload(settings: ServerSettings) -> None:
    """Replace the workers by new ones with the current code, and wait for the result."""
    before = _status(settings)
    os.kill(before["pid"], signal.SIGHUP)
    deadline = time.monotonic() + (2 * settings.timeout + settings.graceful_timeout) * (before["workers"] + 1)
    while time.monotonic() < deadline:
        found = _status(settings)
        reload = found["reload"]
        if reload["number"] > before["reload"]["number"] and reload["state"] == "done":
            print(summary(reload["replaced"], reload["unclean"]))
            if changed := found.get("changed_packages"):
                print(f"{CHANGED_PACKAGES}: {', '.join(changed)}")
            return
        if reload["number"] > before["reload"]["number"] and reload["state"] == "refused":
            sys.exit(f"reload refused: {reload['reason']}")
        time.sleep(POLL_SECONDS)
    sys.exit("the reload does not end; see the log")


def status(settings: ServerSettings) -> None:
    """Print the instance's status, with each worker's open requests, streams and websockets, as JSON."""
    # Imported late, here and below: a container's health check, run every few seconds, takes half the time without.
    from slipway.serving import worker_table

    found = _status(settings)
    print(json.dumps({**found, "table": worker_table.read(Path(found["table"]))}))


def doctor(settings: ServerSettings) -> None:
    """Print whether the server behaves as its settings say, observed on its own sockets, as JSON."""
    from slipway.serving import probes

    probes.show(settings, _status(settings))


def metrics(settings: ServerSettings) -> None:
    """Print the instance's metrics in the form of a scrape."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(settings.metrics_socket)
        except OSError as error:
            sys.exit(f"{settings.metrics_socket} does not answer: {error.strerror}")
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = connection.makefile("rb").read()
    sys.stdout.write(answer.partition(b"\r\n\r\n")[2].decode())


def kill(settings: ServerSettings) -> None:
    """Kill a worker with SIGKILL, for `make prove` to observe the effect."""
    serving = _status(settings)["serving"]
    if not serving:
        sys.exit("no worker is ready")
    os.kill(serving[0], signal.SIGKILL)
    print(serving[0])


def put_into_service(settings: ServerSettings) -> None:
    """Point nginx's links at this instance, which it does not do itself while they lead to another running one."""
    _status(settings)
    publish(settings)


def ready(settings: ServerSettings) -> None:
    """Exit with the response unless the instance is ready, asked on its own listener: a container's health check.

    Ready: READY_PATH answers 200 or, for an app without one, `/` answers with a status below 500.
    """
    _status(settings)  # written when all workers are ready
    address: Any = settings.socket_paths()[0] if settings.socket_dir else (settings.slot_host, settings.slot_port)
    with socket.socket(socket.AF_UNIX if settings.socket_dir else socket.AF_INET) as connection:
        connection.settimeout(3)
        connection.connect(address)
        path = settings.guard.root_path + (settings.guard.ready_path or "/")
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        answer = connection.makefile("rb").read()
    status = answer[9:12]
    if not (status == b"200" if settings.guard.ready_path else b"100" <= status < b"500"):
        sys.exit(answer.decode(errors="replace"))


def _status(settings: ServerSettings) -> dict[str, Any]:
    path = settings.run_dir / f"{settings.instance}.json"
    if not runs(settings):
        sys.exit(f"no instance named {settings.instance} runs in {settings.run_dir}")
    try:
        status: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        sys.exit(f"{path} is not there: no instance named {settings.instance} is ready")
    return status


if __name__ == "__main__":
    main()

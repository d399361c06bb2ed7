"""Talks to an instance that runs: `python -m slipway.serving.ctl VERB`, in the environment that the instance has."""

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
    """Run one verb; exit 1 with the reason when it does not succeed."""
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
    """Have the workers replaced by ones with the code as it is now; wait for the end of it."""
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
    """Print what the instance says of itself, and what each worker has open, as JSON."""
    # Late, here and below: a container's health check, which is run every few seconds, takes half the time without.
    from slipway.serving import worker_table

    found = _status(settings)
    print(json.dumps({**found, "table": worker_table.read(Path(found["table"]))}))


def doctor(settings: ServerSettings) -> None:
    """Print what the server does about its settings, as seen on its own sockets, as JSON."""
    from slipway.serving import probes

    probes.show(settings, _status(settings))


def metrics(settings: ServerSettings) -> None:
    """Print the metrics of the instance, as a scrape has them."""
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
    """Kill a worker with SIGKILL, to see what happens: `make prove` does."""
    serving = _status(settings)["serving"]
    if not serving:
        sys.exit("no worker is ready")
    os.kill(serving[0], signal.SIGKILL)
    print(serving[0])


def put_into_service(settings: ServerSettings) -> None:
    """Turn nginx's links to this instance, which it does not do itself while they lead to another one that runs."""
    _status(settings)
    publish(settings)


def ready(settings: ServerSettings) -> None:
    """Whether the instance is ready, asked on its own listener: a container's health check.

    READY_PATH answers 200; for an app without one, `/` answers anything below 500.
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

"""An ACME server for a test (Pebble), which validates challenges as a real one does, and its name server.

Certificates live for seconds, so that a renewal is due soon. Nothing leaves this machine: names resolve to 127.0.0.1.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM

from slipway.ops import wait
from tests.harness.processes import Process, free_ports, running

ISSUER = b"Pebble Intermediate CA"  # in every certificate
EAGER = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}


class Names(Process):
    """A name server that resolves every name to 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.port, management = free_ports(), free_ports()
        off = [f"-{name}=" for name in ("http01", "https01", "tlsalpn01", "defaultIPv6")]
        addresses = [f"-dns01=127.0.0.1:{self.port}", f"-management=127.0.0.1:{management}"]
        super().__init__(["pebble-challtestsrv", "-defaultIPv4=127.0.0.1", *addresses, *off], folder / "names.log")
        self._management = management

    @property
    def ready(self) -> bool:
        return not wait.is_free("127.0.0.1", self._management)


class Authority(Process):
    """Pebble, which requests challenges at one port of this machine."""

    stop_code = -SIGTERM

    def __init__(self, folder: Path, http_port: int, names: Names, seconds: int) -> None:
        self.port = free_ports(2)
        listen = (f"127.0.0.1:{self.port}", f"127.0.0.1:{self.port + 1}")
        self.ca_file = write_configuration(folder, listen, http_port, seconds)
        self.url = f"https://localhost:{self.port}/dir"
        command = ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{names.port}"]
        super().__init__(command, folder / "pebble.log", {**os.environ, **EAGER})

    @property
    def ready(self) -> bool:
        return not wait.is_free("127.0.0.1", self.port)


def write_configuration(
    folder: Path, listen: tuple[str, str], http_port: int, seconds: int, name: str = "localhost"
) -> Path:
    """Write Pebble's configuration with its addresses, and its server's own pair; return that certificate's path."""
    pair = {"certificate": folder / "pebble.pem", "privateKey": folder / "pebble-key.pem"}
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subject = ["-subj", "/CN=pebble", "-addext", f"subjectAltName=DNS:{name}"]
    files = ["-keyout", str(pair["privateKey"]), "-out", str(pair["certificate"])]
    subprocess.run([*make, *subject, *files], check=True, capture_output=True)
    settings = {
        "listenAddress": listen[0],
        "managementListenAddress": listen[1],
        **{key: str(path) for key, path in pair.items()},
        "httpPort": http_port,
        "tlsPort": http_port,
        "certificateValidityPeriod": seconds,
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    return pair["certificate"]


@contextmanager
def authority(folder: Path, http_port: int, seconds: int) -> Iterator[Authority]:
    """Run a Pebble whose certificates live for `seconds`."""
    with running(Names(folder)) as names, running(Authority(folder, http_port, names, seconds)) as pebble:
        yield pebble

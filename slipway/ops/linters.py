"""Every linter over every file that it knows."""

import subprocess
import tempfile
import time
from pathlib import Path

from slipway.ops import nginx, nginx_text
from slipway.ops.console import say
from slipway.ops.rules import Rules
from slipway.ops.settings import ROOT
from slipway.ops.site import SiteSettings
from slipway.project import served

# With open_file_cache a static file that has changed would be served as it was for a while. The app needs the host
# as the client has named it, to tell its own pages from foreign ones (the docker runtime maps ports, so
# $host:$server_port is another one); and the limit of open files is set by who starts nginx, since a container and a
# user may have less than any number that the file could name.
GIXY_SKIPS = ("try_files_is_evil_too", "host_spoofing", "worker_rlimit_nofile_vs_connections")

FILES = [  # the last word is the path
    ["shellcheck", ".ci/run"],
    *(["shellcheck", f"nginx/{path.name}"] for path in sorted(nginx_text.NGINX_DIR.glob("*.sh"))),
    ["hadolint", "Dockerfile"],
    ["zizmor", "--offline", "--quiet", ".github/workflows"],
    ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/ci.yml"],
    ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"],
]


def failing() -> list[str]:
    """Run them all; the names of those that found something."""
    rules = Rules.of()
    with tempfile.TemporaryDirectory() as folder:
        rendered = Path(folder) / "nginx.conf"
        sockets = Path(folder, "sockets")
        sockets.mkdir()  # nginx binds one there
        site = SiteSettings((("/static/", "app"),), (("/private/", "files"),), ("https://example.com",))
        command = nginx.prepare(Path(folder), listen="8080", socket_dir=sockets, max_body_bytes=1 << 20, site=site)
        checks = [
            *rules.checks(served().app.partition(":")[0].partition(".")[0]),
            [*command, "-t", "-q"],
            ["gixy", "--skips", ",".join(GIXY_SKIPS), str(rendered)],
            *(check for check in FILES if (ROOT / check[-1]).exists()),
        ]
        return [check[0] for check in checks if not _passes(check)]


def _passes(command: list[str]) -> bool:
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    say(f"  {'ok  ' if done.returncode == 0 else 'FAIL'} {Path(command[0]).name:18} {time.monotonic() - start:4.1f} s")
    if done.returncode:
        say(done.stdout + done.stderr)
    return done.returncode == 0

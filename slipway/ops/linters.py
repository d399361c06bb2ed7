"""Runs each linter over the files that it supports."""

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

# Checks that do not apply. open_file_cache would serve a changed static file from the cache for a while. The app needs
# the client's own Host header to tell its pages from foreign ones ($host:$server_port differs in the docker runtime,
# which maps ports). The limit of open files is set outside nginx, since a container or a user may be allowed fewer than
# any number in the file.
GIXY_SKIPS = ("try_files_is_evil_too", "host_spoofing", "worker_rlimit_nofile_vs_connections")

FILES = [  # each ends with the path that it checks
    ["shellcheck", ".ci/run"],
    *(["shellcheck", f"nginx/{path.name}"] for path in sorted(nginx_text.NGINX_DIR.glob("*.sh"))),
    ["hadolint", "Dockerfile"],
    ["zizmor", "--offline", "--quiet", ".github/workflows"],
    ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", ".github/workflows/ci.yml"],
    ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml"],
]


def failing() -> list[str]:
    """Run all linters; return the names of those that found something."""
    rules = Rules.of()
    with tempfile.TemporaryDirectory() as folder:
        rendered = Path(folder) / "nginx.conf"
        sockets = Path(folder, "sockets")
        sockets.mkdir()  # nginx binds its status socket there
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

"""nginx outside a container: writes its configuration, as the entrypoint does in the image, and returns its command."""

import datetime
import os
import re
import resource
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from slipway.ops import bodies, modules, nginx_build
from slipway.ops import edge as edges
from slipway.ops.edge import EdgeSettings
from slipway.ops.https import CHALLENGES, SERVER, HttpsSettings
from slipway.ops.nginx_text import NGINX_DIR, alternatives, literal, quoted, render, templates
from slipway.ops.packages import find
from slipway.ops.settings import ROOT
from slipway.ops.site import LOCATIONS, SiteSettings
from slipway.serving.cpus import worker_count
from slipway.serving.ladder import PROXY_READ_TIMEOUT
from slipway.serving.settings import STATUS_SOCKET

NOWHERE = Path("/nowhere")
NO_HTTPS = HttpsSettings(folder=NOWHERE)
NO_FILES = SiteSettings()
WRITTEN = (SERVER, LOCATIONS, edges.FILE, modules.LOADED, modules.FEATURES)  # in addition to the filled-in templates
NO_LIMITS = EdgeSettings()
MAX_WORKERS = 8  # each takes 8 MiB for up to 16,384 connections
MAX_CONNECTIONS = 16_384
TLS = "tls"  # in the written folder; a symlink to the certificate's folder
BODY_ROOM = 768 << 20  # bytes on disk at most; docker-compose.yml has the same size for its tmpfs
# Imported by path, so that it works in any working directory and without a virtual environment.
LOGGED = "import sys; sys.path.insert(0, sys.argv.pop(1)); from slipway.ops.logged import main; sys.exit(main())"
KEEPALIVE_MIN_TIMEOUT = "keepalive_min_timeout 5s;"  # docker-compose.yml says the same; a test compares them


def prepare(
    folder: Path,
    *,
    listen: str,
    socket_dir: Path,
    max_body_bytes: int,
    read_timeout: int = PROXY_READ_TIMEOUT,
    health_paths: Iterable[str] = (),
    private_paths: Iterable[str] = (),
    edge: EdgeSettings = NO_LIMITS,
    https: HttpsSettings = NO_HTTPS,
    https_listen: str = "",
    site: SiteSettings = NO_FILES,
    root: Path = ROOT,
    modules_dir: Path | None = None,
    data_dir: Path = NOWHERE,
    log_query: bool = False,
    body_room: int = BODY_ROOM,
) -> list[str]:
    """Write the configuration below a folder; return the command that runs nginx in the foreground."""
    folder.mkdir(parents=True, exist_ok=True)
    workers = min(worker_count().workers, MAX_WORKERS)
    values = {
        "NGINX_DIR": quoted(NGINX_DIR),
        "CONF_DIR": quoted(folder),
        "SOCKET_DIR": quoted(socket_dir, pattern=True),
        "STATUS_SOCKET": re.sub(r'(["\\])', r"\\\1", str(socket_dir / STATUS_SOCKET)),
        "HTTP_LISTEN": listen,
        "MAX_BODY_BYTES": str(max_body_bytes),
        "PROXY_READ_TIMEOUT": str(read_timeout),
        "HEALTH_PATHS": alternatives(health_paths),
        "PRIVATE_PATHS": alternatives(private_paths),
        "LOG_QUERY": str(int(log_query)),
        "WORK_DIR": re.sub(r'(["\\])', r"\\\1", str(folder)),
        "WORKER_PROCESSES": str(workers),
        "CROWDED": edge.crowded(workers, _connections()),
        "PROXY_PROTOCOL": "proxy_protocol" if edge.proxy_protocol else "",
        "WORKER_CONNECTIONS": str(_connections()),
        **bodies.limits(max(body_room, 4 * max_body_bytes), max_body_bytes),
        "KEEPALIVE_MIN_TIMEOUT": KEEPALIVE_MIN_TIMEOUT if nginx_build.version() >= (1, 27, 4) else "",
    }
    for name, text in templates().items():
        (folder / name).write_bytes(os.fsencode(render(text, values)))
    (folder / edges.FILE).write_text(edge.configuration())
    _point(folder / TLS, https.folder)
    texts = {"tls": TLS, "folder": values["NGINX_DIR"], "filled_in": values["CONF_DIR"]}
    (folder / SERVER).write_bytes(
        os.fsencode(https.configuration(https_listen, nginx_build.dialect(), words=values["PROXY_PROTOCOL"], **texts))
    )
    compiled = modules_dir or nginx_build.modules_dir()
    names = modules.found(compiled)
    (folder / modules.LOADED).write_text(modules.loaded(compiled, names))
    (folder / modules.FEATURES).write_text(modules.features(names))
    roots = {"folder": values["CONF_DIR"], "static": literal(root), "private": literal(data_dir)}
    roots["challenges"] = literal(https.folder / CHALLENGES)
    (folder / LOCATIONS).write_bytes(os.fsencode(site.configuration(**roots, today=datetime.date.today())))
    # As root nginx would run its workers as another user, which can't reach sockets below root's private home.
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    return [find("nginx") or "nginx", "-p", f"{folder}/", "-c", str(folder / "nginx.conf"), "-g", directives]


def _point(link: Path, folder: Path) -> None:
    """Link to a folder: nginx reads a `$` in a certificate's path as a variable, and has no escape for it."""
    link.unlink(missing_ok=True)
    link.symlink_to(folder)


def _connections() -> int:
    """Return the connections per worker: two thirds of the open-file limit; the rest is for request bodies and logs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # supervisor gives nginx the hard limit
    return MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else max(64, min(MAX_CONNECTIONS, hard * 2 // 3))


def logged(
    command: Sequence[str], python: str = sys.executable, watched: Sequence[str] = (), sockets: Sequence[Path] = ()
) -> list[str]:
    """Return the command that runs nginx with a JSON log; an unread log never blocks nginx.

    It reloads nginx when the content of files that match the `watched` patterns changes, and first removes `sockets`,
    which a killed nginx has left.
    """
    options = [*(f"--watch={pattern}" for pattern in watched), *(f"--socket={path}" for path in sockets)]
    return [python, "-ISc", LOGGED, str(ROOT), *options, *command]

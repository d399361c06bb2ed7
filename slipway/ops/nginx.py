"""nginx outside a container: what the image's entrypoint does there, and the command that starts it."""

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
WRITTEN = (SERVER, LOCATIONS, edges.FILE, modules.LOADED, modules.FEATURES)  # beside what the templates become
NO_LIMITS = EdgeSettings()
MAX_WORKERS = 8  # each has up to 16,384 connections, in 8 MiB
MAX_CONNECTIONS = 16_384
TLS = "tls"  # in the folder, a link to that of the certificate
BODY_ROOM = 768 << 20  # bytes on the disk, at the most; docker-compose.yml says the same of its own
# By path: in any folder, and without an environment.
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
    """Write the configuration below a folder, and return the command that runs nginx in the foreground."""
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
    # Started by root, nginx's workers would be another user, which can't reach sockets below a home of root's alone.
    directives = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    return [find("nginx") or "nginx", "-p", f"{folder}/", "-c", str(folder / "nginx.conf"), "-g", directives]


def _point(link: Path, folder: Path) -> None:
    """Have a link lead to a folder: nginx takes a `$` in a certificate's path for a variable, which nothing escapes."""
    link.unlink(missing_ok=True)
    link.symlink_to(folder)


def _connections() -> int:
    """Each is an open file; a third of those that there may be is for bodies that arrive and for logs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)  # which supervisor allows it
    return MAX_CONNECTIONS if hard == resource.RLIM_INFINITY else max(64, min(MAX_CONNECTIONS, hard * 2 // 3))


def logged(
    command: Sequence[str], python: str = sys.executable, watched: Sequence[str] = (), sockets: Sequence[Path] = ()
) -> list[str]:
    """The command that runs nginx with its log as JSON, which nothing that is not read can block.

    It has nginx reload when the content of files that the `watched` patterns name has changed, and removes the unix
    sockets that a killed one has left.
    """
    options = [*(f"--watch={pattern}" for pattern in watched), *(f"--socket={path}" for path in sockets)]
    return [python, "-ISc", LOGGED, str(ROOT), *options, *command]

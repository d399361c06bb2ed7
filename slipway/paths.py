"""The paths of health checks and the private paths, as clients request them: with READY_PATH and below ROOT_PATH."""

import re

from slipway.environment import Environment, SettingError
from slipway.project import PATH, Project

# Unreserved characters only (RFC 3986 section 2.3): a client may percent-encode others in several ways.
ROOT_PATH = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


def ready_path(env: Environment, project: Project) -> str:
    """Return READY_PATH, else the project's ready path; empty for `none`."""
    path = env.text("READY_PATH", project.ready_path)
    if path in ("", "none"):
        return ""
    if not PATH.fullmatch(path):
        raise SettingError("READY_PATH", path, 'a path such as /readyz, or "none"')
    return path


def root_path(env: Environment) -> str:
    """Return ROOT_PATH, the prefix below which the app is served; empty for none."""
    prefix = env.text("ROOT_PATH").rstrip("/")
    if prefix and not (ROOT_PATH.fullmatch(prefix) and {".", ".."}.isdisjoint(prefix.split("/"))):
        raise SettingError("ROOT_PATH", prefix, "a path such as /api, of letters, digits and - . _ ~")
    return prefix


def health_paths(env: Environment, project: Project) -> tuple[str, ...]:
    """Return the ready path and the project's health paths, as clients request them below ROOT_PATH.

    Neither the workers nor nginx log or refuse requests for them.
    """
    prefix, paths = root_path(env), dict.fromkeys(filter(None, [ready_path(env, project), *project.health_paths]))
    return tuple(prefix + path for path in paths)


def private_paths(env: Environment, project: Project) -> tuple[str, ...]:
    """Return the project's private paths, below ROOT_PATH."""
    return tuple(root_path(env) + path for path in project.private_paths)

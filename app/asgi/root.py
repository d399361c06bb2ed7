"""`root_path`, the prefix below which an app is served."""

from .types import Header, Scope


def below_root(scope: Scope) -> str:
    """The path without `root_path`, which is a part of it: https://asgi.readthedocs.io/en/latest/specs/www.html

    A server that leaves it out, as ASGI allowed once, is understood, too.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) :][:1] in ("", "/"):
        return path[len(root) :]
    return path


def to_root(scope: Scope) -> Header:
    """Where a request for the prefix itself is sent: its `Location`, with the query."""
    query: bytes = scope.get("query_string", b"")
    return b"location", scope["root_path"].encode() + b"/" + (b"?" + query if query else b"")

"""`root_path`: the path prefix under which an app is served."""

from .types import Header, Scope


def below_root(scope: Scope) -> str:
    """Return the path without its prefix `root_path`: https://asgi.readthedocs.io/en/latest/specs/www.html

    A path without that prefix, as earlier versions of ASGI allowed, is returned unchanged.
    """
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and path.startswith(root) and path[len(root) :][:1] in ("", "/"):
        return path[len(root) :]
    return path


def to_root(scope: Scope) -> Header:
    """Return the `Location` of the redirect for a request to the prefix itself; it keeps the query."""
    query: bytes = scope.get("query_string", b"")
    return b"location", scope["root_path"].encode() + b"/" + (b"?" + query if query else b"")

"""Routes: an immutable table of static and parameter paths, and the app that walks it.

A path is matched segment by segment; a segment is literal or `{name}`, and literal wins. A trailing slash makes it
another path.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .errors import HTTPError
from .request import Request
from .response import Response, StreamResponse
from .types import ASGIApp, Receive, Scope, Send
from .websocket import WebSocket

Handler = Callable[[Request], Awaitable[ASGIApp | Response | StreamResponse]]
SocketHandler = Callable[[WebSocket], Awaitable[None]]

WEBSOCKET = "(websocket)"  # not a token of RFC 9110, so no request has it as its method
TEMPLATE = re.compile(r"(/([^/{}]*|\{[a-z_]+\}))+")


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a path template like `/users/{id}` and a handler. A bad template raises ValueError at once."""

    method: str
    path: str
    handler: Callable[[Any], Any]

    def __post_init__(self) -> None:
        if not TEMPLATE.fullmatch(self.path):
            raise ValueError(f"bad path template {self.path!r}: segments are literal or {{name}}")


def websocket(path: str, handler: SocketHandler) -> Route:
    """A route for websocket connections."""
    return Route(WEBSOCKET, path, handler)


@dataclass(slots=True)
class _Node:
    literal: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    methods: dict[str, Route] = field(default_factory=dict)
    names: tuple[str, ...] = ()


class Routes:
    """The table. Two routes with one method and path, or two names for one parameter, raise ValueError."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        self._static: dict[str, dict[str, Route]] = {}
        for route in routes:
            self._add(route)

    def _add(self, route: Route) -> None:
        node, names = self._root, []
        for segment in route.path.split("/")[1:]:
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.parameter = node = node.parameter or _Node()
            else:
                node = node.literal.setdefault(segment, _Node())
        if route.method in node.methods or (node.methods and node.names != tuple(names)):
            raise ValueError(f"{route.method} {route.path} is already taken")
        node.methods[route.method] = route
        node.names = tuple(names)
        if not names:
            self._static[route.path] = node.methods

    def match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route and the parameters. Raises HTTPError 404, or 405 with a sorted `Allow`.

        HEAD falls back to GET (RFC 9110 section 9.3.2); a plain GET of a websocket's path is 426 (section 15.5.22).
        """
        methods, params = self._static.get(path), {}
        if methods is None:
            node, values = self._walk(path)
            methods, params = node.methods, dict(zip(node.names, values, strict=True))
        route = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        if route is None and method == "GET" and WEBSOCKET in methods:
            raise HTTPError(426, "This path speaks websocket.", headers=[(b"upgrade", b"websocket")])
        if route is None:
            raise HTTPError(405, f"{method} is not allowed here.", headers=[(b"allow", allow(methods))])
        return route, params

    def _walk(self, path: str) -> tuple[_Node, list[str]]:
        values: list[str] = []
        before, *segments = path.split("/")
        node = None if before else self._find(self._root, segments, 0, values)
        if node is None:
            raise HTTPError(404, "There is nothing at this path.")
        return node, values

    def _find(self, node: _Node, segments: list[str], depth: int, values: list[str]) -> _Node | None:
        if depth == len(segments):
            return node if node.methods else None
        literal = node.literal.get(segments[depth])
        if literal is not None and (found := self._find(literal, segments, depth + 1, values)):
            return found
        if node.parameter is None or not segments[depth]:
            return None
        values.append(segments[depth])
        found = self._find(node.parameter, segments, depth + 1, values)
        if found is None:
            values.pop()
        return found


def allow(methods: Iterable[str]) -> bytes:
    """The value of an `Allow` header, sorted, with the HEAD and OPTIONS that every path has."""
    names = {name for name in methods if name != WEBSOCKET} | {"OPTIONS"}
    if "GET" in names:
        names.add("HEAD")
    return ", ".join(sorted(names)).encode()


class Router:
    """The ASGI app that finds the handler, gives it a Request or a WebSocket, and sends its answer."""

    def __init__(self, routes: Iterable[Route], *, max_body_bytes: int, max_message_bytes: int = 64 * 1024) -> None:
        self.routes = Routes(routes)
        self.max_body_bytes = max_body_bytes
        self.max_message_bytes = max_message_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = await self._answer(scope, receive)
            await response(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            raise ValueError(f"unknown scope type {scope['type']!r}")

    async def _answer(self, scope: Scope, receive: Receive) -> ASGIApp | Response | StreamResponse:
        try:
            route, params = self.routes.match(scope["method"], scope["path"])
        except HTTPError as error:
            if error.status == 405 and scope["method"] == "OPTIONS":
                return Response(status=204, headers=error.headers)
            raise
        return await route.handler(Request(scope, receive, params, self.max_body_bytes))  # type: ignore[no-any-return]

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send, max_message_bytes=self.max_message_bytes)
        try:
            route, socket.params = self.routes.match(WEBSOCKET, scope["path"])
        except HTTPError:
            raise HTTPError(404, "There is no websocket at this path.") from None
        await route.handler(socket)

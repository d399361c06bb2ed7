"""The API's description and the routing table agree."""

import json
from typing import Any

from app.asgi.routing import WEBSOCKET
from app.handlers.pages import FOLDER
from app.main import ROUTES

DOCUMENT: dict[str, Any] = json.loads((FOLDER / "openapi.json").read_text())
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(references(value) for value in node.values()))
    return set().union(*(references(value) for value in node)) if isinstance(node, list) else set()


def resolved(reference: str) -> Any:
    node: Any = DOCUMENT
    for key in reference.removeprefix("#/").split("/"):
        node = node[key.replace("~1", "/").replace("~0", "~")]
    return node


def test_every_route_is_described() -> None:
    """Each HTTP route has its operation, and each operation its route."""
    assert set(operations()) == {(route.method, route.path) for route in ROUTES if route.method != WEBSOCKET}


def test_every_websocket_is_described() -> None:
    """Each websocket is described in a member of our own, since OpenAPI has no websockets."""
    assert set(DOCUMENT["x-websockets"]) == {route.path for route in ROUTES if route.method == WEBSOCKET}


def test_operations_have_names_of_their_own() -> None:
    """Operations have distinct names, from which a client can be generated."""
    names = [operation["operationId"] for operation in operations().values()]

    assert len(set(names)) == len(names)


def test_references_lead_somewhere() -> None:
    """Each `$ref` points to a part of the document."""
    found = references(DOCUMENT)

    assert found
    assert all(resolved(reference) for reference in found)


def test_path_parameters_are_described() -> None:
    """The parameters of a path are those of its template."""
    for (method, path), operation in operations().items():
        item = DOCUMENT["paths"][path]
        parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
        whole = [resolved(part["$ref"]) if "$ref" in part else part for part in parameters]
        described = {part["name"] for part in whole if part["in"] == "path"}

        assert described == {part[1:-1] for part in path.split("/") if part.startswith("{")}, (method, path)

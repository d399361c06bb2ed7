"""The description of answers in `openapi.json`: every answer of the contract tests is compared with it."""

import json
import re
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from app.asgi.routing import PARAMETER, WEBSOCKET
from app.handlers.pages import FOLDER
from app.main import BENCH_ROUTES, ROUTES
from tests.harness.driver import Answer

DOCUMENT: dict[str, Any] = json.loads((FOLDER / "openapi.json").read_text())
UNDESCRIBED = {route.path for route in BENCH_ROUTES}  # only for the benchmark
SOCKETS = {route.path for route in ROUTES if route.method == WEBSOCKET}  # in x-websockets
MALFORMED = re.compile(r"%(?![0-9A-Fa-f]{2})|%00|\.\.%2f", re.IGNORECASE)  # refused before the app is asked
PATTERNS = {path: re.compile(PARAMETER.sub("[^/]+", path)) for path in DOCUMENT["paths"]}


def untruths(method: str, target: str, answer: Answer) -> list[str]:
    """Return the differences between an answer and the description."""
    path = target.partition("?")[0]
    template = path if path in PATTERNS else next((name for name, each in PATTERNS.items() if each.fullmatch(path)), "")
    if path in UNDESCRIBED | SOCKETS or (answer.status == 400 and MALFORMED.search(target)):
        return []
    if not template:
        return [] if answer.status in (400, 404) else [f"{path} is no path, but answers {answer.status}"]
    item = DOCUMENT["paths"][template]
    known = item.get("get" if method == "HEAD" else method.lower())
    if known is None:
        expected = 204 if method == "OPTIONS" else 405
        return [] if answer.status == expected else [f"{method} of {template} answers {answer.status}"]
    described = known["responses"].get(str(answer.status))
    if described is None:
        return [f"{method} of {template} answers {answer.status}, which is not described"]
    return differences(resolved(described), answer, body=method != "HEAD")


def differences(described: Any, answer: Answer, *, body: bool = True) -> list[str]:
    """Return the differences between an answer and the description of its status."""
    fields = {name.decode(): value.decode("latin-1") for name, value in answer.headers}
    found = [
        f"{name} is {fields.get(name.lower())!r}"
        for name, header in described.get("headers", {}).items()
        if not fits(resolved(header), fields.get(name.lower()))
    ]
    content = described.get("content", {})
    kind = fields.get("content-type", "").partition(";")[0]
    if kind not in content and (content or (body and answer.body)):
        return [*found, f"the type is {kind!r}"]
    if body and kind.endswith("json") and (schema := content[kind].get("schema")):
        found += [error.message for error in validator(json.dumps(schema)).iter_errors(json.loads(answer.body))]
    return found


def fits(header: Any, value: str | None) -> bool:
    """Return whether a header field is as described."""
    if value is None:
        return not header.get("required", False)
    schema = resolved(header["schema"])
    number = schema.get("type") == "integer" and value.isdigit()
    return bool(validator(json.dumps(schema)).is_valid(int(value) if number else value))


@cache
def validator(schema: str) -> Draft202012Validator:
    """Return the validator of a schema of the document, references included."""
    return Draft202012Validator({**json.loads(schema), "components": DOCUMENT["components"]})


def resolved(node: Any) -> Any:
    """Return the target of a reference, or the node itself."""
    if "$ref" not in node:
        return node
    found: Any = DOCUMENT
    for key in node["$ref"].removeprefix("#/").split("/"):
        found = found[key.replace("~1", "/").replace("~0", "~")]
    return found

"""Imports go downwards only, so that each layer can be read, tested and replaced without the layers above it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for folder in ("app", "slipway") for path in (ROOT / folder).rglob("*.py"))

# From the bottom up: a module imports from its own row or from earlier rows.
LAYERS = (
    ("app.asgi",),
    ("app.config",),
    ("app.services",),
    ("app.fields", "app.migrate", "app.migrations"),
    ("app.handlers",),
    ("app.main",),
    ("app.wsgi",),
)
SLIPWAY_LAYERS = (
    ("slipway.environment", "slipway.tracebacks"),
    ("slipway.project",),
    ("slipway.paths",),
    ("slipway.logs",),
    ("slipway.metrics",),
    ("slipway.middleware",),
    ("slipway.serving",),
    ("slipway.ops",),
)
ABOVE_THE_APP = {"gunicorn", "uvicorn", "bench", "loadtest", "examples", "tests"}
SHARED = {"slipway.environment"}  # the only modules of slipway/ that the app may import


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, late imports included; `from a import b` is a.b if that is a module."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            module = ".".join(filter(None, [base, node.module or ""]))
            for alias in node.names:
                inner = ROOT.joinpath(*module.split("."), alias.name)
                yield f"{module}.{alias.name}" if inner.with_suffix(".py").is_file() or inner.is_dir() else module


def layer(module: str, layers: tuple[tuple[str, ...], ...] = LAYERS) -> int:
    for number, row in enumerate(layers):
        if any(module == name or module.startswith(name + ".") for name in row):
            return number
    raise AssertionError(f"{module} has no layer; give it one")


def of(package: str) -> list[Path]:
    return [path for path in MODULES if name_of(path) == package or name_of(path).startswith(package + ".")]


def test_imports_are_found() -> None:
    """Absolute, relative and late imports are found, without which the tests below would prove nothing."""
    assert {"app.asgi.routing", "app.handlers.users", "app.migrate", "app.config"} <= {*imports(ROOT / "app/main.py")}
    assert "app.asgi.types" in imports(ROOT / "app/asgi/errors.py")
    assert "app.services.users" in imports(ROOT / "app/services/__init__.py")


@pytest.mark.parametrize("path", of("app"), ids=name_of)
def test_downwards_only(path: Path) -> None:
    """A module of the app imports nothing from above itself."""
    own = [module for module in imports(path) if module.startswith("app.")]

    assert not own or max(map(layer, own)) <= layer(name_of(path)), own


@pytest.mark.parametrize("path", of("app"), ids=name_of)
def test_app_knows_no_server(path: Path) -> None:
    """The app imports no server and, of slipway/, only what is shared, so that it runs under any server."""
    assert ABOVE_THE_APP.isdisjoint(module.split(".")[0] for module in imports(path))
    assert {module for module in imports(path) if module.startswith("slipway")} <= SHARED


@pytest.mark.parametrize("path", of("app.asgi"), ids=name_of)
def test_toolkit_is_alone(path: Path) -> None:
    """The toolkit imports the standard library, orjson and itself."""
    for module in imports(path):
        assert module.split(".")[0] in {*sys.stdlib_module_names, "orjson"} or module.startswith("app.asgi"), module


@pytest.mark.parametrize("path", of("app.handlers"), ids=name_of)
def test_handlers_do_not_know_each_other(path: Path) -> None:
    """No handler imports another one: code that two handlers need belongs to a service or a field."""
    assert not [module for module in imports(path) if module.startswith("app.handlers")]


@pytest.mark.parametrize("path", [path for path in of("app") if name_of(path) != "app.config"], ids=name_of)
def test_one_reader_of_the_environment(path: Path) -> None:
    """Only app.config reads environment variables."""
    code = ast.unparse(ast.parse(path.read_text()))  # without the comments

    assert not [word for word in ("os.environ", "os.getenv", "from os import", "Environment(") if word in code]


@pytest.mark.parametrize("path", of("slipway"), ids=name_of)
def test_slipway_knows_no_app(path: Path) -> None:
    """slipway/ imports nothing from the app, so that it can serve another one."""
    assert "app" not in {module.split(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", [path for path in of("slipway") if name_of(path) != "slipway"], ids=name_of)
def test_slipway_imports_downwards_only(path: Path) -> None:
    """A module of slipway/ imports nothing from above itself."""
    own = [module for module in imports(path) if module.startswith("slipway.")]

    assert not own or max(layer(module, SLIPWAY_LAYERS) for module in own) <= layer(name_of(path), SLIPWAY_LAYERS), own


@pytest.mark.parametrize("path", of("slipway.middleware"), ids=name_of)
def test_middleware_knows_no_server(path: Path) -> None:
    """The middleware is plain ASGI on the standard library, orjson and our own lower layers."""
    allowed = {*sys.stdlib_module_names, "slipway", "orjson"}
    if name_of(path) == "slipway.middleware.spans":
        allowed.add("opentelemetry")
    for module in imports(path):
        assert module.split(".")[0] in allowed, module


@pytest.mark.parametrize("path", of("slipway.logs"), ids=name_of)
def test_log_stands_below_what_uses_it(path: Path) -> None:
    """The log imports only its formatter and the standard library, so that every layer above can write to it."""
    allowed = {*sys.stdlib_module_names, "pythonjsonlogger", "_typeshed"}
    foreign = {module for module in imports(path) if module.split(".")[0] not in allowed}

    assert all(module.startswith(("slipway.logs", "slipway.environment")) for module in foreign), foreign


def test_environment_stands_below_all() -> None:
    """slipway/environment.py imports the standard library alone."""
    assert {module.split(".")[0] for module in imports(ROOT / "slipway/environment.py")} <= sys.stdlib_module_names


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return modules of which each imports the next, and the last the first; empty if there are none."""
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> list[str]:
        if module in path:
            return path[path.index(module) :]
        if module not in done:
            for imported in sorted(graph.get(module, ())):
                if found := walk(imported, [*path, module]):
                    return found
            done.add(module)
        return []

    return next((found for module in sorted(graph) if (found := walk(module, []))), [])


def test_circles_are_found() -> None:
    """A cycle through other modules is found; two ways to the same module are no cycle."""
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": {"a"}}) == ["a", "b", "c"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_import_circles() -> None:
    """No module imports itself through others, neither for types nor by a late import of a package."""
    names = {name_of(path) for path in MODULES}
    graph = {name_of(path): {module for module in imports(path) if module in names} for path in MODULES}

    assert circle(graph) == []


# From the bottom up, with the command line on top.
BENCH_ROOMS = (
    "bench.figures", "bench.load", "bench.run", "bench.report", "bench.layers", "bench.fanout", "bench.__main__",
)  # fmt: skip
BENCH = sorted((ROOT / "bench").rglob("*.py"))


def bench_room(module: str) -> int:
    return layer(module, tuple((room,) for room in BENCH_ROOMS))


@pytest.mark.parametrize("path", [path for path in BENCH if name_of(path) != "bench"], ids=name_of)
def test_bench_imports_downwards_only(path: Path) -> None:
    """A module of the benchmark imports from its own package or from those below."""
    own = [module for module in imports(path) if module.startswith("bench.")]

    assert not own or max(map(bench_room, own)) <= bench_room(name_of(path)), own


def test_bench_has_no_import_circles() -> None:
    """No module of the benchmark imports itself through others, late imports included."""
    names = {name_of(path) for path in BENCH}
    graph = {name_of(path): {module for module in imports(path) if module in names} for path in BENCH}

    assert circle(graph) == []

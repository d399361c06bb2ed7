"""Everything that pages and comments name exists: links, paths, settings, verbs, modules and parts; README is short."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.ops.settings import ROOT, documented
from tests.promises.promises import PARTS

TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
PAGES = [path for path in TRACKED if path.endswith(".md")]
SOURCES = [path for path in TRACKED if path.endswith((".py", ".conf", ".template", ".yml", ".toml", ".lua"))]
SOURCES += ["Makefile", "bench/verbs.mk", "Dockerfile", ".env.example", ".ci/run"]
NAMES = {Path(path).name for path in TRACKED}
FOLDERS = {str(folder) for path in TRACKED for folder in Path(path).parents}

# Named in pages, but not in the tree: files made at run time, variables of other programs, and former versions.
MADE = {".run", "slot-0.sock", "slots.conf", "slipway.db", "slipway.db-wal", "slipway.db-shm", "slipway.backup.db"}
BEFORE = re.compile(r"^## From .*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
ENVIRONMENT = {"PATH", "PYTHON", "PYTEST", "PARTS", "LOCK", "QUICK", "FULL", "SERVERS", "RESUME", "A", "B", "ONLY"}
ENVIRONMENT |= {"DIR", "EXAMPLE", "VERSION", "REQUEST", "SENTRY_DSN"}
# Settings of frameworks, named in the pages of the examples.
THEIRS = {"SECURE_PROXY_SSL_HEADER", "CSRF_TRUSTED_ORIGINS", "RESPONSE_TIMEOUT", "MAX_CONTENT_LENGTH"}
FILE = re.compile(
    r"(?<![\w/.*-])((?:[\w.-]+/)*[\w-]+\.(?:py|conf|template|toml|yml|md|svg|png|html|lua))(?![\w/*-]|\.\w)"
)
VERB = re.compile(r"\bmake ((?!it\b|sure\b|a\b|of\b|its\b|the\b)[a-z]+(?:-[a-z]+)*)")


def page(path: str) -> str:
    return BEFORE.sub("", (ROOT / path).read_text())


def code(text: str) -> Iterator[str]:
    """Yield the text between backticks, and each line of a code block."""
    for block in re.findall(r"```\n(.*?)```", text, re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def verbs() -> set[str]:
    rules = "".join((ROOT / path).read_text() for path in ("Makefile", "bench/verbs.mk"))
    return set(re.findall(r"^([a-z-]+):", rules, re.MULTILINE))


def exists(name: str, beside: Path) -> bool:
    """Return whether a path exists from the top or from the file's own folder, or a name anywhere."""
    if any((place / name).exists() for place in (ROOT, beside)) or Path(name).name in MADE:
        return True
    if name.endswith("/"):  # a folder whose parent the text names
        return any(f"/{folder}/".endswith(f"/{name}") for folder in FOLDERS)
    return "/" not in name and name in NAMES


@pytest.mark.parametrize("path", PAGES)
def test_links(path: str) -> None:
    """A link leads to a file in the tree."""
    links = re.findall(r"\]\(([^)#: ]+)[^)]*\)", page(path))

    assert [link for link in links if not ((ROOT / path).parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES)
def test_paths_of_pages(path: str) -> None:
    """A file or folder that a page shows as code exists."""
    words = [word for piece in code(page(path)) for word in piece.split() if "://" not in word]
    named = [
        word.rstrip(",;.") for word in words if re.fullmatch(r"[\w.-]+(?:/[\w.-]+)*/?[,;.]?", word) and "/" in word
    ]
    files = [match for piece in code(page(path)) for match in FILE.findall(piece)]
    missing = [
        name
        for name in {*named, *files}
        if not exists(name, (ROOT / path).parent) and not name.startswith((".run/", "/", "HTTP/"))
        for name in {*named, *files}
        if not exists(name, (ROOT / path).parent) and not name.startswith((".run/", "/", "HTTP/"))
    ]

    assert [name for name in missing if not name.startswith("template/")] == []


@pytest.mark.parametrize("path", PAGES)
def test_verbs_of_pages(path: str) -> None:
    """A verb that a page shows exists in the Makefile."""
    assert {verb for piece in code(page(path)) for verb in VERB.findall(piece)} <= verbs()


@pytest.mark.parametrize("path", PAGES)
def test_settings_of_pages(path: str) -> None:
    """A setting that a page shows is in the manual."""
    named = {name for piece in code(page(path)) for name in re.findall(r"\b([A-Z][A-Z_]*[A-Z])=?(?![\w.])", piece)}
    settings = {name for name in named if "_" in name} | (named & ENVIRONMENT)

    assert settings - documented() - ENVIRONMENT - THEIRS == set()


@pytest.mark.parametrize("path", PAGES)
def test_parts_of_pages(path: str) -> None:
    """A part of `make soak` that a page names exists."""
    named = re.findall(r'make soak PARTS=(?:"([^"]+)"|(\w[\w-]*))', page(path))

    assert {part for quoted, single in named for part in (quoted or single).split()} <= PARTS.keys()


def test_promises_have_a_command() -> None:
    """Each promise in the table has the command that measures it."""
    rows = [line for line in (ROOT / "docs/promises.md").read_text().splitlines() if line.startswith("| ")]

    assert len(rows) > 10
    assert [row for row in rows[1:] if not re.search(r"\| (?:`make [^`]+`(?:, )?)+ \|$", row)] == []


def figures(column: int, *workloads: str) -> list[float]:
    """Return a column of the benchmark's table, in the rows of these workloads; of an interval the middle."""
    rows = [line.split(" | ") for line in (ROOT / "docs/benchmark.md").read_text().splitlines()]
    return [
        float(row[column].split()[0]) for row in rows if row[0].removeprefix("| ") in workloads and len(row) > column
    ]


def test_readme_says_what_the_benchmark_has() -> None:
    """README's figures are the least and the greatest ones of docs/benchmark.md."""
    latency, cpu = (figures(column, "plain text", "small JSON") for column in (3, 5))
    readme = " ".join((ROOT / "README.md").read_text().split())

    assert len(latency) == len(cpu) == 4
    assert f"{min(latency):.2f} to {max(latency):.2f} of the WSGI twin's p99 for plain text and JSON" in readme
    assert max(cpu) < 0.5
    assert "less than half of its CPU time there" in readme
    assert {f"and {ratio:.1f} of it for one row" in readme for ratio in figures(5, "one row")} == {True}


def test_readme_is_short() -> None:
    """README can be read in two minutes: it has at most 120 lines."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@pytest.mark.parametrize("path", SOURCES)
def test_paths_of_comments(path: str) -> None:
    """A file that a comment or docstring names exists."""
    text = (ROOT / path).read_text()
    comments = re.findall(r"(?:#|;|--) (.*)", text) + (
        re.findall(r'"""(.*?)"""', text, re.DOTALL) if path.endswith(".py") else []
    )
    named = {name for comment in comments if "://" not in comment for name in FILE.findall(comment)}

    assert [name for name in sorted(named) if not exists(name, (ROOT / path).parent)] == []

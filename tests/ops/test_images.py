"""Images by version: their names, rollback and pruning; the engine is simulated."""

import json
import subprocess
from pathlib import Path

import pytest

from slipway.ops import images
from slipway.ops.console import Failure
from slipway.ops.engine import Done, Engine
from slipway.ops.images import Images
from slipway.ops.settings import StackSettings


class Played(Engine):
    """An engine that holds only names of images."""

    def __init__(self, settings: StackSettings) -> None:
        super().__init__(settings)
        self.ids: dict[str, str] = {}
        self.built = 0
        self.pulled: list[str] = []

    def docker(self, *arguments: str) -> str:
        verb, *rest = arguments
        if verb == "build":
            self.built += 1
            return f"sha256:{self.built:08x}{'0' * 56}\n"
        if verb == "tag":
            self.ids[rest[1]] = rest[0]
        if verb == "pull":
            self.pulled.append(rest[-1])
        return ""

    def attempt_docker(self, *arguments: str) -> Done:
        output, code = "", 0
        if arguments[:2] == ("image", "ls"):
            output = "\n".join(name for name in self.ids if name.startswith(f"{arguments[-1]}:"))
        elif arguments[:2] == ("image", "rm"):
            del self.ids[arguments[-1]]
        else:
            code = int(arguments[-1] not in self.ids)
        return subprocess.CompletedProcess([], code, output, "")


@pytest.fixture
def engine(tmp_path: Path) -> Played:
    """The engine of a project whose images have a name of their own."""
    return Played(StackSettings.of({"RUN_DIR": str(tmp_path), "SLIPWAY_IMAGE": "here/app"}, {}))


def deploy(engine: Played, monkeypatch: pytest.MonkeyPatch, version: str) -> str:
    """Build a version and put it into service."""
    monkeypatch.setattr(images, "version", lambda: version)
    found = Images(engine, engine.settings)
    name = found.take()
    found.in_service(name)
    return name


@pytest.mark.parametrize(
    ("version", "tag"),
    [("abc1234", "abc1234"), ("abc1234-dirty", "abc1234-dirty-00000001"), ("unknown", "unknown-00000001")],
)
def test_tag_is_the_commit(engine: Played, monkeypatch: pytest.MonkeyPatch, version: str, tag: str) -> None:
    """The tag is the commit; for a tree that differs from it, it is marked and has a part of the image's id."""
    name = deploy(engine, monkeypatch, version)

    assert name == f"here/app:{tag}"
    assert engine.ids["here/app:latest"] == name


def test_rollback_goes_back_one_by_one(engine: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rollback returns to the release before, until there is none."""
    for version in ("one", "two", "two", "three"):
        deploy(engine, monkeypatch, version)
    found = Images(engine, engine.settings)
    went = []
    for _ in range(2):
        went.append(found.before())
        found.in_service(went[-1], back=True)

    assert went == ["here/app:two", "here/app:one"]
    with pytest.raises(Failure, match="no release before this one"):
        found.before()


def test_refused_release_leaves_the_name_where_it_was(engine: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that did not get into service is neither the newest nor one that a rollback returns to."""
    first = deploy(engine, monkeypatch, "one")
    monkeypatch.setattr(images, "version", lambda: "broken")
    Images(engine, engine.settings).take()
    deploy(engine, monkeypatch, "two")

    assert Images(engine, engine.settings).before() == first
    assert "here/app:broken" not in engine.ids


def test_last_five_are_kept(engine: Played, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Images older than the last five are removed; that of locust and those of other repositories stay."""
    engine.ids |= {"here/app:latest-locust": "", "here/application:one": ""}
    names = [deploy(engine, monkeypatch, f"v{number}") for number in range(8)]

    assert {*engine.ids} == {*names[-5:], "here/app:latest", "here/app:latest-locust", "here/application:one"}
    assert json.loads((tmp_path / images.RELEASES).read_text()) == names[-5:]


@pytest.mark.parametrize("name", ["here/app:v1", "registry.example:5000/app:v1", "app@sha256:" + "0" * 64])
def test_image_with_a_tag_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    """An image with a tag was built elsewhere: it is fetched if missing, and nothing is built, tagged or removed."""
    engine = Played(StackSettings.of({"RUN_DIR": str(tmp_path), "SLIPWAY_IMAGE": name}, {}))
    found = Images(engine, engine.settings)

    assert found.newest == found.take() == name
    found.in_service(name)
    assert engine.pulled == [name]
    assert not engine.built
    assert not engine.ids

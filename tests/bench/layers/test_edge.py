"""nginx with one part of its configuration left out at a time."""

from pathlib import Path

import httpx
import pytest

from bench.layers.edge import SHIPPED, VARIANTS, change, edges
from bench.run import machine


def test_each_serves_without_its_part(tmp_path: Path) -> None:
    """Each nginx starts, answers as the shipped one does, and lacks the part whose cost is measured."""
    with edges("bench.layers.apps.bare:get_user", machine.split_cpus(), tmp_path) as targets:
        answers = {name: httpx.get(f"{target.origin}/api/users/2") for name, target in targets.items()}

    assert [*answers] == [*VARIANTS]
    assert {answer.status_code for answer in answers.values()} == {200}
    assert len({answer.content for answer in answers.values()}) == 1
    assert "referrer-policy" in answers[SHIPPED].headers
    assert "referrer-policy" not in answers["without the headers that it adds"].headers
    assert "x-request-id" not in answers["without the request's id"].headers
    logs = {path.name: path.read_text() for path in tmp_path.glob("edge*.log")}
    assert '"path":"/api/users/2"' in logs["edge0.log"]
    assert '"path":"/api/users/2"' not in logs["edge1.log"]  # the log is the first part left out


def test_part_that_is_not_there(tmp_path: Path) -> None:
    """A change that would leave nothing out is refused, since the part would seem to cost nothing."""
    (tmp_path / "log.conf").write_text("access_log off;\n")
    with pytest.raises(LookupError, match=r"log\.conf has nothing like gzip on;"):
        change(tmp_path / "log.conf", {"gzip on;": ""})

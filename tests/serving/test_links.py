"""The instance that nginx finds: changes of the number of workers, and the end of a predecessor."""

import os
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from slipway.serving import links
from slipway.serving.settings import ServerSettings


def instance(folder: Path, name: str, workers: int) -> ServerSettings:
    """Return the settings of one of several servers in a folder."""
    return ServerSettings.from_environment(
        {"SOCKET_DIR": str(folder), "INSTANCE": name, "WEB_CONCURRENCY": str(workers)}
    )


def led_to(folder: Path) -> set[str]:
    """Return the names of the sockets to which the links lead."""
    return {link.readlink().name for link in folder.glob("slot-*.sock")}


def listed(folder: Path) -> int:
    """Return the number of slots in the lists for nginx."""
    (count,) = {len((folder / name).read_text().splitlines()) for name in ("slots.conf", "listening.conf")}
    return count


@pytest.mark.parametrize("counts", [(3, 1, 2), (1, 4, 2, 3), (2, 2), (4, 1, 1, 4)])
def test_each_successor_is_found_and_its_predecessor_takes_nothing_with_it(
    tmp_path: Path, counts: tuple[int, ...]
) -> None:
    """Before and after a predecessor ends, all links and the list are the successor's."""
    servers = [instance(tmp_path, f"server-{number}", workers) for number, workers in enumerate(counts)]
    links.publish(servers[0])
    for old, new in pairwise(servers):
        links.publish(new)
        for _ in range(2):
            assert links.are_ours(new)
            assert led_to(tmp_path) == {f"{new.instance}-{slot}.sock" for slot in range(new.workers)}
            assert listed(tmp_path) == new.workers
            links.withdraw(old)


def test_links_that_nginx_still_knows_lead_to_the_successor(tmp_path: Path) -> None:
    """Until nginx has read the shorter list, the links that only the longer one had lead to the successor, too."""
    links.publish(instance(tmp_path, "old", 4))
    links.publish(instance(tmp_path, "new", 2))

    assert [(tmp_path / f"slot-{slot}.sock").readlink().name for slot in range(4)] == [
        "new-0.sock",
        "new-1.sock",
        "new-0.sock",
        "new-1.sock",
    ]


def test_last_one_leaves_nothing(tmp_path: Path) -> None:
    """When the instance in service ends, its links and list are removed, and links left by a larger predecessor."""
    links.publish(instance(tmp_path, "old", 3))
    last = instance(tmp_path, "last", 1)
    links.publish(last)
    links.withdraw(last)

    assert not [*tmp_path.iterdir()]


def test_a_predecessor_by_ports_withdraws_its_list(tmp_path: Path) -> None:
    """A server with ports has no links, and its list is removed when it ends."""
    server = replace(instance(tmp_path, "one", 2), socket_dir=None, slot_port=9000)
    links.publish(server)
    links.withdraw(server)

    assert not [*tmp_path.iterdir()]


def test_changes(tmp_path: Path) -> None:
    """Each change of nginx's files gives other times; a missing file, or one changed too recently, gives none."""
    server = instance(tmp_path, "app", 2)
    assert links.changes(server) == ()

    links.publish(server)
    files = [tmp_path, tmp_path / "listening.conf", tmp_path / "slots.conf"]
    for changed in files:
        for number, file in enumerate(files):
            os.utime(file, (number, number))
        before = links.changes(server)
        os.utime(changed, (5, 5))
        after = links.changes(server)
        os.utime(changed, (time.time() + 60, time.time() + 60))

        assert before == (0, 1_000_000_000, 2_000_000_000)
        assert after == tuple(
            5_000_000_000 if file == changed else known for file, known in zip(files, before, strict=True)
        )
        assert links.changes(server) == ()

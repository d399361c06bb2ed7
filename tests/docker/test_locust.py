"""`make locust`: the load generator in containers."""

import re

import pytest

from tests.docker.conftest import Containers

pytestmark = pytest.mark.timeout(300)


def test_workers_share_the_load(containers: Containers) -> None:
    """Two workers make requests through nginx without a failure, and the app's container stays the same."""
    before = containers.container("app")
    settings = {"LOCUST_HEADLESS": "1", "LOCUST_USERS": "4", "LOCUST_SPAWN_RATE": "4", "LOCUST_RUN_TIME": "6s"}
    done = containers.make("locust", LOCUST_WORKERS="2", LOCUST_EXPECT_WORKERS="2", LOCUST_PORT="0", **settings)

    assert done.returncode == 0, done.stdout + done.stderr
    total = re.findall(r"Aggregated +(\d+) +0\(0\.00%\)", done.stderr)
    assert int(total[-1]) > 20, done.stderr
    assert sorted(re.findall(r"\(index (\d)\) quit", done.stderr)) == ["0", "1"], done.stderr
    assert containers.container("app") == before

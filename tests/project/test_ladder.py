"""The ladder of time-outs, read from the files that set them.

nginx and compose files are parsed, not searched, so that a value in a comment or in another block does not count.
"""

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import crossplane  # type: ignore[import-untyped]
import pytest
from ruamel.yaml import YAML

from app.asgi import sse
from slipway.environment import SettingError
from slipway.ops import nginx
from slipway.ops.local import Local
from slipway.ops.settings import ROOT, StackSettings
from slipway.serving.heartbeat import BEAT_SECONDS
from slipway.serving.ladder import NGINX_UPSTREAM_KEEPALIVE, PROXY_READ_TIMEOUT, QUIET_SECONDS
from slipway.serving.settings import ServerSettings
from slipway.serving.worker import Worker

SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "": 1.0}


def seconds(text: str) -> float:
    """Return the seconds of a time as nginx and compose write it."""
    found = re.fullmatch(r"(\d+)(ms|s|m|)", text)
    assert found, text
    return int(found[1]) * SECONDS[found[2]]


@pytest.fixture(scope="module")
def directives(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], list[str]]:
    """Every directive that nginx reads, includes followed, by the blocks that contain it."""
    folder = tmp_path_factory.mktemp("nginx")
    nginx.prepare(folder, listen="127.0.0.1:8080", socket_dir=folder, max_body_bytes=1)
    parsed = crossplane.parse(str(folder / "nginx.conf"), combine=True)
    assert parsed["status"] == "ok", parsed["errors"]
    found: dict[tuple[str, ...], list[str]] = {}

    def walk(block: list[Any], path: tuple[str, ...]) -> None:
        for entry in block:
            found[(*path, entry["directive"])] = entry["args"]
            walk(entry.get("block", []), (*path, entry["directive"]))

    walk(parsed["config"][0]["parsed"], ())
    return found


@pytest.fixture(scope="module")
def settings() -> ServerSettings:
    """The default settings."""
    return ServerSettings.from_environment({"WEB_CONCURRENCY": "2"})


@pytest.fixture(scope="module")
def compose() -> Any:
    """docker-compose.yml with anchors and merges resolved."""
    return YAML(typ="safe").load(ROOT / "docker-compose.yml")


Directives = dict[tuple[str, ...], list[str]]
UPSTREAM_KEEPALIVE = ("http", "upstream", "keepalive_timeout")
READ_TIMEOUT = ("http", "proxy_read_timeout")


def test_whole_order(directives: Directives, settings: ServerSettings, compose: Any) -> None:
    """Each step of the ladder is shorter than the next one."""
    upstream_keepalive = seconds(directives[UPSTREAM_KEEPALIVE][0])
    read_timeout = seconds(directives[READ_TIMEOUT][0])
    grace = default(compose["services"]["app"]["stop_grace_period"])

    for quiet in (sse.HEARTBEAT_SECONDS, Worker.CONFIG_KWARGS["ws_ping_interval"]):
        assert quiet <= QUIET_SECONDS < read_timeout
    ladder = [
        upstream_keepalive,
        settings.drain,
        settings.graceful_shutdown,
        settings.graceful_timeout,
        settings.timeout,
    ]
    assert all(lower < upper for lower, upper in pairwise(ladder)), ladder
    assert upstream_keepalive < settings.keepalive
    assert 2 * settings.graceful_timeout + 2 + settings.lame_duck < grace
    assert settings.timeout > 4 * BEAT_SECONDS


def test_half_open_websockets_are_noticed() -> None:
    """With a ping every 20 s, a silent client is gone within 45 s; the promises test it with shorter times."""
    shipped = Worker.CONFIG_KWARGS

    assert shipped["ws_ping_interval"] == 20
    assert shipped["ws_ping_interval"] + shipped["ws_ping_timeout"] < 45


def default(text: str) -> float:
    """Return the default of `${NAME:-20}s`."""
    found = re.fullmatch(r"\$\{\w+:-(\d+)\}(s)", text)
    assert found, text
    return seconds(found[1] + found[2])


def test_both_sides_name_the_same_values(directives: Directives, settings: ServerSettings, compose: Any) -> None:
    """The values of nginx and compose are those that slipway/serving/ladder.py names."""
    assert seconds(directives[UPSTREAM_KEEPALIVE][0]) == NGINX_UPSTREAM_KEEPALIVE
    for name in ("app", "baseline"):
        service = compose["services"][name]
        assert service["stop_grace_period"] == "${STOP_GRACE_PERIOD:-20}s"
        assert default(service["stop_grace_period"]) == settings.stop_grace_period
        assert service["stop_signal"] == "SIGTERM"
        assert "STOP_GRACE_PERIOD" in service["environment"]


def test_nginx_has_the_time_to_end_by_itself(directives: Directives, compose: Any, tmp_path: Path) -> None:
    """nginx ends idle client connections, then websockets, before the kill, in containers and under supervisor."""
    settings = StackSettings.of({"RUN_DIR": str(tmp_path)}, {})
    program = Local(settings).processes.programs.proxy("nginx", tmp_path, settings)
    kept = nginx.KEEPALIVE_MIN_TIMEOUT
    found = re.fullmatch(r"keepalive_min_timeout (\S+);", kept)
    assert found
    grace = {seconds(compose["services"][name]["stop_grace_period"]) for name in ("nginx", "baseline-nginx")}
    ladder = [seconds(found[1]), seconds(directives["worker_shutdown_timeout",][0]), program.stop_seconds]

    assert all(lower < upper for lower, upper in pairwise(ladder)), ladder
    assert grace == {program.stop_seconds}
    assert compose["services"]["nginx"]["environment"]["KEEPALIVE_MIN_TIMEOUT"] == kept


def test_one_read_timeout_feeds_both_runtimes(directives: Directives, settings: ServerSettings, compose: Any) -> None:
    """The setting's default is nginx's, locally and in containers, where the app server gets it too and checks it."""
    passed = f"${{PROXY_READ_TIMEOUT:-{PROXY_READ_TIMEOUT}}}"

    assert seconds(directives[READ_TIMEOUT][0]) == settings.proxy_read_timeout == PROXY_READ_TIMEOUT
    assert seconds(directives["http", "proxy_send_timeout"][0]) == PROXY_READ_TIMEOUT
    for name in ("app", "baseline", "nginx", "baseline-nginx"):
        assert compose["services"][name]["environment"]["PROXY_READ_TIMEOUT"] == passed
    for name in ("nginx", "baseline-nginx"):
        assert "|PROXY_READ_TIMEOUT)$" in compose["services"][name]["environment"]["NGINX_ENVSUBST_FILTER"]


@pytest.mark.parametrize("value", ["0", "1", "20", "20.5", "60s", "86401", "many"])
def test_read_timeout_that_cuts_quiet_connections_is_refused(value: str) -> None:
    """A wrong value ends the server's start and every verb in one line: the variable, the value and what is allowed."""
    for read in (ServerSettings.from_environment, lambda variables: StackSettings.of(variables, {})):
        with pytest.raises(SettingError) as raised:
            read({"PROXY_READ_TIMEOUT": value})

        said = str(raised.value)
        assert said.startswith(f"PROXY_READ_TIMEOUT='{value}' is not allowed: a whole number of seconds, more than 20")
        assert "\n" not in said


@pytest.mark.parametrize("value", ["21", "86400"])
def test_read_timeout_may_be_set(value: str, tmp_path: Path) -> None:
    """nginx gets the value that is set."""
    settings = StackSettings.of({"PROXY_READ_TIMEOUT": value, "RUN_DIR": str(tmp_path)}, {})
    Local(settings).processes.programs.nginx("nginx", settings)

    assert f" proxy_read_timeout {value}s;" in (tmp_path / "nginx" / "nginx.conf").read_text()


def test_gunicorn_gets_the_values(settings: ServerSettings) -> None:
    """gunicorn.conf.py passes the settings on under gunicorn's names, unchanged."""
    tree = ast.parse((ROOT / "gunicorn.conf.py").read_text())
    given = {
        node.targets[0].id: ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }

    for name in ("timeout", "graceful_timeout", "keepalive", "max_requests", "max_requests_jitter"):
        assert given[name] == f"settings.{name}"
        assert hasattr(settings, name)


def test_every_slot_is_balanced(directives: Directives) -> None:
    """nginx picks the least busy worker, with one count for all its processes, over kept connections."""
    assert ("http", "upstream", "least_conn") in directives
    assert ("http", "upstream", "zone") in directives
    assert int(directives["http", "upstream", "keepalive"][0]) >= 64
    assert directives["http", "server", "location", "proxy_http_version"] == ["1.1"]
    assert directives["http", "server", "location", "proxy_next_upstream"] == ["off"]


def test_supervisor_waits_long_enough(tmp_path: Path) -> None:
    """The local runtime allows a stop as much time as the containers do."""
    local = Local(StackSettings.of({"STOP_GRACE_PERIOD": "30.5", "RUN_DIR": str(tmp_path)}, {}))
    program = local.processes.programs.server("app", tmp_path, local.settings, tmp_path)

    assert local.trials.stop_seconds == program.stop_seconds == 31

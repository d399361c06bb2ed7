"""HOST: addresses of IPv4 and IPv6, wildcards, and addresses that are not this machine's."""

import socket

import pytest

from slipway.ops import wait
from slipway.ops.load import load
from slipway.ops.settings import StackSettings
from tests.harness.walks import walk
from tests.ops.conftest import Verbs

NO_IPV6 = wait.obstacle("::1", 0)


@pytest.mark.parametrize(
    ("host", "listen", "url"),
    [
        ("127.0.0.1", "127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("::1", "[::1]:8080", "http://[::1]:8080"),
        ("[::1]", "[::1]:8080", "http://[::1]:8080"),
        ("0.0.0.0", "0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("::", "[::]:8080 ipv6only=off", "http://[::1]:8080"),
        ("[::]", "[::]:8080 ipv6only=off", "http://[::1]:8080"),
        ("0:0:0:0:0:0:0:0", "[0:0:0:0:0:0:0:0]:8080 ipv6only=off", "http://[::1]:8080"),
        ("localhost", "localhost:8080", "http://localhost:8080"),
    ],
)
def test_address(host: str, listen: str, url: str) -> None:
    """HOST is written as nginx takes it, and as a client of this machine does."""
    settings = StackSettings.of({"HOST": host}, {})

    assert settings.listen(8080) == listen
    assert settings.url == url


REACHED = {
    "::1": ("::1", "[::1]", {"::1"}),
    "[::1]": ("[::1]", "[::1]", {"::1"}),
    "0.0.0.0": ("0.0.0.0", "127.0.0.1", {"127.0.0.1"}),
    "::": ("::", "[::1]", {"::1", "127.0.0.1"}),
}


@pytest.mark.skipif(bool(NO_IPV6), reason=f"::1 {NO_IPV6}")
@pytest.mark.timeout(120)
@pytest.mark.parametrize(("host", "shown", "reached"), walk(REACHED, "::1", "::"))
def test_up(make: Verbs, host: str, shown: str, reached: set[str]) -> None:
    """The stack answers at the address, `up` prints a URL that a client can type, and `status` requests the same."""
    up = make("up", HOST=host)
    assert up.returncode == 0, up.stdout + up.stderr
    url = f"http://{shown}:{make.port}"
    assert f"\n  {url}\n" in up.stdout
    with load(StackSettings.of({"HOST": host, "HTTP_PORT": str(make.port)}, {}), "/version") as seen:
        assert wait.until(lambda: len(seen.latencies) > 50, 20)
    status = make.module("status")

    assert seen.failures == []
    assert status.returncode == 0
    assert f"{url}/readyz: 200" in status.stdout
    assert {address for address in ("::1", "127.0.0.1") if _answers(address, make.port)} == reached


def _answers(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        return probe.connect_ex((host, port)) == 0


FOREIGN = (
    "192.0.2.1", "2001:db8::1", "no-such-name.invalid", "999.1.1.1", "a b", "..", "127.0.0.1:80", "%", "::g",
)  # fmt: skip


@pytest.mark.parametrize("host", walk(FOREIGN, "192.0.2.1", "no-such-name.invalid", "127.0.0.1:80"))
def test_not_of_this_machine(make: Verbs, host: str) -> None:
    """Any other address is refused in one line that names the setting, and nothing is started."""
    up = make.module("up", HOST=host)

    assert up.returncode == 1
    assert "HOST must be an address of this machine" in up.stderr
    assert up.stderr.count("\n") == 1
    assert make.pids() == []


def test_port_that_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that needs root is reported with what to do, and not as taken by another program."""

    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)

    assert wait.obstacle("127.0.0.1", 80) == "needs root; choose one of 1024 or above"

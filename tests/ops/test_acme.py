"""ACME_DOMAINS and its companions: allowed values, what each runtime passes on, and the remark beside the address."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from slipway.environment import Environment, SettingError
from slipway.ops import acme, certificate
from slipway.ops.acme import AcmeSettings
from slipway.ops.engine import Engine
from slipway.ops.settings import ROOT, StackSettings
from tests.harness.authority import ISSUER, authority
from tests.harness.processes import short_folder, until
from tests.harness.stack import secure
from tests.harness.tls import shown_certificate
from tests.ops.conftest import Verbs

SECONDS = 30.0
LONGEST = ".".join(["a" * 63] * 3) + ".example"


def read(name: str = "ACME_DOMAINS", value: str = "", *, https: bool = True) -> AcmeSettings:
    return AcmeSettings.from_environment(Environment({name: value}), https=https)


@pytest.mark.parametrize(
    ("text", "domains"),
    [
        ("", ()),
        (" , ", ()),
        ("example.com", ("example.com",)),
        (" Example.COM ,www.example.com, example.com", ("example.com", "www.example.com")),
        ("xn--bcher-kva.example", ("xn--bcher-kva.example",)),
        ("a.b.c.d.example", ("a.b.c.d.example",)),
        (LONGEST, (LONGEST,)),
    ],
)
def test_names(text: str, domains: tuple[str, ...]) -> None:
    """Names are separated by commas, in any case, and each counts once."""
    assert read(value=text).domains == domains


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("ACME_DOMAINS", value)
            for value in (
                *("localhost", "*.example.com", "example.com:80", "http://example.com", "example.com/", "-a.example"),
                *("a-.example", "a..example", ".example.com", "example.com.", "127.0.0.1", "[::1]", "bücher.example"),
                *("a b.example", "a.example;b.example", "--help.example", f"a{LONGEST}", f"{'a.' * 130}example"),
                ",".join(f"{number}.example" for number in range(101)),
            )
        ),
        *(("ACME_SERVER", value) for value in ("http://example.com", "example.com", "https://", "https://a b")),
        *(("ACME_EMAIL", value) for value in ("me", "me@", "@example.com", "a@b.example,c@d.example", "a b@c.example")),
        *(("ACME_CHECK_SECONDS", value) for value in ("0", "-1", "86401", "daily")),
        *(("ACME_CA_FILE", value) for value in ("/nowhere.pem", "/")),
    ],
)
def test_refused_values(name: str, value: str) -> None:
    """A refused value is reported in one line that names the setting."""
    with pytest.raises(SettingError, match=name):
        read(name, value)


def test_https_must_be_on() -> None:
    """ACME_DOMAINS needs HTTPS, without which nothing would present the certificate."""
    with pytest.raises(SettingError, match="HTTPS=off"):
        read(value="example.com", https=False)

    assert read(https=False).domains == ()


def test_logs_are_shown_with_the_others() -> None:
    """`make logs`, where certbot's errors are looked for, includes certbot."""
    engine = Engine(StackSettings.of({"ACME_DOMAINS": "example.com"}, {}))

    assert f"--profile={acme.NAME}" in engine.command("logs", "--follow")


def test_compose_has_the_same_defaults() -> None:
    """The service of docker-compose.yml gets what `make` passes, and by hand the same defaults."""
    compose: Any = YAML(typ="safe").load(ROOT / "docker-compose.yml")
    passed = compose["services"][acme.NAME]["environment"]

    for name, value in AcmeSettings().environment().items():
        assert passed[name] == f"${{{name}:-{value}}}"


@pytest.mark.parametrize("root", [True, False])
def test_container_may_write_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: bool) -> None:
    """The container runs as the verb's user; root is replaced by another user, which then owns the folder."""
    owners: dict[Path, tuple[int, int]] = {}
    monkeypatch.setattr(os, "getuid", lambda: 0 if root else 1_000)
    monkeypatch.setattr(os, "chown", lambda path, user, group, **_: owners.update({path: (user, group)}))
    acme.hand_over(tmp_path)
    user = acme.container_environment(AcmeSettings())["ACME_USER"]

    assert user == ("10001" if root else "1000")
    assert owners == (dict.fromkeys((tmp_path, *tmp_path.iterdir()), (10_001, 10_001)) if root else {})
    assert (tmp_path / "acme").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "challenges").stat().st_mode & 0o777 == 0o755


def test_remark_beside_the_address(tmp_path: Path) -> None:
    """The remark says that a self-signed certificate is only for the time until the authority has answered."""
    folder = secure(tmp_path).folder

    assert certificate.remark(folder, ["example.com"]).endswith("until certbot has got that of example.com")


@pytest.mark.suite
@pytest.mark.timeout(120)
async def test_local_runtime(make: Verbs) -> None:
    """certbot runs under supervisor with the current settings where names are set, and not at all where none are."""
    with short_folder() as folder, authority(folder, make.port, 600) as pebble:
        make.settings |= {"ACME_SERVER": pebble.url, "ACME_CA_FILE": str(pebble.ca_file), "ACME_CHECK_SECONDS": "1"}
        up = make("up", ACME_DOMAINS="shop.test")
        assert up.returncode == 0, up.stdout + up.stderr
        log = make.folder / "log" / "acme.log"
        await until(lambda: "is in place" in log.read_text(), SECONDS)
        status = make("status")
        await until(lambda: ISSUER in shown_certificate(make.https_port), SECONDS)
        assert make("reload", ACME_DOMAINS="shop.test,www.shop.test").returncode == 0
        await until(lambda: log.read_text().count("is in place") == 2, SECONDS)
        without = make("reload", ACME_DOMAINS="")
        after = make("status")

    assert "acme            RUNNING" in status.stdout
    assert [json.loads(line)["level"] for line in log.read_text().splitlines()] == ["INFO", "INFO"]
    assert without.returncode == 0
    assert "acme" not in after.stdout

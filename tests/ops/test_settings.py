"""The stack's settings, and `.env.example` as their manual."""

import ast
import re

from slipway.ops.settings import ROOT, documented

READERS = (
    "app/config.py",
    "slipway/middleware/settings.py",
    "slipway/serving/ladder.py",
    "slipway/serving/settings.py",
    "slipway/serving/variables.py",
    "slipway/project.py",
    "slipway/paths.py",
    "slipway/ops/settings.py",
    "slipway/ops/acme.py",
    "slipway/ops/edge.py",
    "slipway/ops/https.py",
    "slipway/ops/site.py",
)
NGINX = READERS[-5:]  # read for nginx and certbot alone

READ_BY_LIBRARIES = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_SERVICE_NAME"}
# from [tool.slipway], for a PRESTART that is run separately, and the owner of TLS_DIR
SET_BY_MAKE = {"BASELINE_APP", "MIGRATED", "ACME_USER"}


def read() -> set[str]:
    """Return the names that the code reads from the environment."""
    calls = (node for name in READERS for node in ast.walk(ast.parse((ROOT / name).read_text())))
    return {
        str(node.args[0].value)
        for node in calls
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and isinstance(node.args[0], ast.Constant)
    }


def test_the_manual_lists_every_setting_and_no_other() -> None:
    """`.env.example` names all variables that the code and the compose file read, and no others."""
    compose = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))

    assert documented() == (read() | compose | READ_BY_LIBRARIES) - SET_BY_MAKE


def test_every_setting_reaches_the_containers() -> None:
    """The compose file passes on each setting of the app and the process model, except those listed with a reason."""
    compose = (ROOT / "docker-compose.yml").read_text()
    passed = set(re.findall(r"^  ([A-Z_]+):", compose, re.MULTILINE))
    own = {
        "COMMIT",  # built into the image
        "PRESTARTED",  # set by the arbiter for its workers
        "WORKER_SLOT",  # the same
        "WORKER_COUNT",  # the same
        "FORWARDED_ALLOW_IPS",  # reaches them if set in .env
    }
    wanted = {
        name
        for reader in READERS
        if reader not in NGINX
        for name in re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / reader).read_text())
    }

    assert wanted - passed == own

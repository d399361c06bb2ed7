"""`make doctor`: whether the running stack behaves as its settings say, observed from outside, as a table."""

import json
from concurrent.futures import ThreadPoolExecutor

from slipway.ops import dotenv, misspelt, seen_edge, seen_stack
from slipway.ops.console import Failure, say, step
from slipway.ops.runtime import Runtime
from slipway.ops.seen_stack import Finding
from slipway.ops.settings import DOTENV, ROOT, documented

PROBES = (*seen_stack.PROBES, *seen_edge.PROBES)
SHOWN = {True: "as set", False: "DIFFERS", None: "not seen"}

# Settings without a row, by the reason; a test compares the names with .env.example.
UNSEEN = {
    "since it takes an overload": """CLIENT_CONNECTIONS CLIENT_REQUESTS_PER_SECOND CLIENT_UPLOADS MAX_CONNECTIONS
        MAX_REQUESTS_IN_FLIGHT MAX_STREAMS MAX_WEBSOCKETS MESSAGES_PER_SECOND""",
    "since it takes an app that hangs, leaks or is stopped": """DRAIN_SECONDS GRACEFUL_TIMEOUT LAME_DUCK_SECONDS
        MAX_WORKER_MEMORY PROXY_READ_TIMEOUT REQUEST_TIMEOUT STOP_GRACE_PERIOD TIMEOUT""",
    "since it takes another address or site": "ALLOWED_ORIGINS FORWARDED_ALLOW_IPS TRUSTED_PROXIES",
    "since the log shows it (make logs)": """ACCESS_LOG LOG_FORMAT LOG_LEVEL LOG_QUERY ACME_CA_FILE ACME_CHECK_SECONDS
        ACME_DOMAINS ACME_EMAIL ACME_SERVER""",
    "since the ready path says whether they answer": """BUS_PASSWORD_FILE BUS_URL DATABASE_CONNECTIONS
        DATABASE_PASSWORD_FILE DATABASE_URL POSTGRES_PASSWORD REDIS_PASSWORD""",
    "since it shows only later": "KEEP_BYTES KEEP_MESSAGES KEEP_SECONDS OTEL_EXPORTER_OTLP_ENDPOINT OTEL_SERVICE_NAME",
    "since the start and its log show it": "APP COMMIT PRELOAD PRESTART",
    "since it says where the stack is, not what it does": """APP_CPUS APP_MEMORY COMPOSE_PROJECT_NAME DATA_DIR INSTANCE
        RUNTIME RUN_DIR SETTINGS_FILE SLIPWAY_IMAGE SLOT_HOST STATIC_VOLUME TLS_DIR""",
    "since other verbs read it": "LOCUST_PORT LOCUST_WORKERS PROMETHEUS_PORT PROVE_PATH",
    "since the server sets it": "PRESTARTED WORKER_COUNT WORKER_SLOT",
}
# Settings that share the row of another one.
WITH_ANOTHER = {
    "BASELINE_PORT": "BASELINE",
    "HTTPS_PORT": "HTTPS",
    "MAX_REQUESTS_JITTER": "MAX_REQUESTS",
    "METRICS_HOST": "METRICS_PORT",
    "READY_HOST": "READY_PATH",
    "SLOT_PORT": "SOCKET_DIR",
}


def run(runtime: Runtime) -> None:
    """Print the table; Failure when the stack differs from a setting."""
    settings = runtime.settings
    with step("observing for as long as the longest time-out"), ThreadPoolExecutor(len(PROBES) + 1) as pool:
        inside = pool.submit(lambda: json.loads(runtime.ask("doctor")))
        outside = [pool.submit(probe, settings) for probe in PROBES]
        found: list[Finding] = [each.result() for each in outside] + [tuple(each) for each in inside.result()]
    for name, wanted, seen, agrees in sorted(found):
        say(f"  {name:20} {SHOWN[agrees]:9} {wanted}: {seen}")
    for reason, names in UNSEEN.items():
        say(f"  not looked at, {reason}: {', '.join(names.split())}")
    for note in misspelt.notes(dotenv.read(ROOT / DOTENV, {}).keys(), documented()):
        say(f"  {note}")
    if wrong := [name for name, _, _, agrees in found if agrees is False]:
        raise Failure(
            f"{', '.join(wrong)}: the stack does not do what is set; `make up` or `make deploy` takes settings"
        )

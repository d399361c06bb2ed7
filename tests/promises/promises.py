"""All promises and their sizes."""

from typing import Any

from tests.promises import balance, chat, endurance, limits, replacing
from tests.promises.balance import Burst, Mixed, Steady
from tests.promises.chat import Talk
from tests.promises.endurance import Kills, Recycling, Reloads, Stop
from tests.promises.limits import Deaf, HalfOpen, Idle
from tests.promises.promise import Promise
from tests.promises.replacing import Replaced

MIB = 1 << 20

PROMISES: list[Promise[Any]] = [
    Promise("websockets", balance.websockets, Burst(400), Burst(400)),
    Promise("steady", balance.steady, Steady(100_000), Steady(5_000), alone=True),
    # On a small machine the system's scheduler decides how even full load is; the shorter it lasts, the less even.
    Promise("requests", balance.requests, 100_000, None),
    Promise("mixed", balance.mixed, Mixed(rounds=6, seconds=5), None),  # test_slots.py has one slow request
    Promise("stop", endurance.stop, Stop(1_000, 100, 5_000), Stop(200, 20, 3_000)),
    Promise(
        "reloads",
        endurance.reloads,
        Reloads(50, requests=100_000, rate=550, steady=20_000),
        Reloads(5, requests=6_000, rate=800),
        alone=True,
    ),
    Promise("kills", endurance.kills, Kills(100), Kills(10, workers=4), alone=True),
    Promise("replacing", replacing.replacing, Replaced(20, 5), None),  # measures a time, which a busy machine changes
    Promise("database", endurance.kills_without_database, Kills(100), Kills(10, rate=100), alone=True),
    Promise(
        "recycling", endurance.recycling, Recycling(20_000, 10, 500, 160 * MIB), Recycling(2_000, 4, 100, 110 * MIB)
    ),
    # tests/app/shared_state/test_chat.py runs it small, on each kind of stack.
    Promise("chat-embedded", chat.embedded, Talk(100, 100_000, 3_600), None),
    Promise("chat-redis", chat.redis, Talk(100, 100_000, 3_600, away=30), None),
    Promise("idle", limits.idle, Idle(10_000, 600, weighed=2_000), Idle(500, 2, weighed=1_000, through_nginx=True)),
    Promise("deaf", limits.deaf, Deaf(10_000, timed_rounds=3), Deaf(1_000, through_nginx=False)),
    Promise("half-open", limits.half_open, HalfOpen(45), HalfOpen(5, ping_seconds=0.5)),
]
PARTS = {promise.name: promise for promise in PROMISES}

"""Load tests fail if a server loses, repeats or reorders messages, and not if it restarts."""

import re
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

import pytest

from tests.harness.at_once import at_once
from tests.harness.walks import walk
from tests.loadtest.chat_server import Chat, Client, Deliver, serving
from tests.loadtest.conftest import Locust, Outcome


def one_in_five_lost(number: int, client: Client) -> list[int]:
    """Deliver every fifth message to no client."""
    return [] if number % 5 == 0 else [number]


def twice(number: int, client: Client) -> list[int]:
    """Deliver each message twice."""
    return [number, number]


def to_its_sender_alone(number: int, client: Client) -> list[int]:
    """Deliver each message to its sender alone, which sees no fault in its own answers."""
    return [number] if number in client.said else []


def one_in_five_to_its_sender_alone(number: int, client: Client) -> list[int]:
    """Deliver every fifth message to its sender alone."""
    return [number] if number % 5 or number in client.said else []


def swapped(number: int, client: Client) -> list[int]:
    """Deliver each two messages in the wrong order to every other client."""
    if client.number % 2:
        return [number]
    return [] if number % 2 else [number, number - 1]


FAULTS: dict[str, tuple[Deliver, str]] = {
    "lost": (one_in_five_lost, "not delivered in 10 s"),
    "twice": (twice, "the same message twice"),
    "to its sender alone": (to_its_sender_alone, "a message that others have heard never came"),
    "to others not all": (one_in_five_to_its_sender_alone, "a message that others have heard never came"),
    "order": (swapped, "a message out of order"),
}


USERS = ("ChatUser", "EventsUser")
RUN = ("-u", "8", "--rate", "4", *USERS)
PROCESSES = ["--processes", "2"]

Outcomes = dict[str, "Future[Outcome]"]


def failures(outcome: Outcome) -> str:
    """Return locust's table of failures, which it prints last."""
    return outcome.output.partition("Error report")[2]


def _outcome(locust: Locust, chat: Chat, how: Sequence[str] = ()) -> Outcome:
    with serving(chat) as host:
        return locust(*how, *RUN, host=host, seconds=4)


@pytest.fixture(scope="module", params=walk({"alone": [], "processes": PROCESSES}, "alone"))
def bad_deliveries(locust: Locust, request: pytest.FixtureRequest) -> Outcomes:
    """A run against each faulty chat; most of them wait for messages that never arrive."""
    cases = {name: partial(_outcome, locust, Chat(deliver), request.param) for name, (deliver, _) in FAULTS.items()}
    return at_once(cases, limit=len(cases))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_chat_that_delivers_badly_fails_the_run(bad_deliveries: Outcomes, fault: str) -> None:
    """Each fault is in the table of failures, for both ways to listen, and in the exit code."""
    expected, outcome = FAULTS[fault][1], bad_deliveries[fault].result()

    assert outcome.code == 1, outcome.output
    assert re.search(rf"/ws/chat.*{expected}", failures(outcome))
    assert re.search(rf"/events.*{expected}", failures(outcome))


SKEWS = {1: "not delivered in 10 s", -1: "the same message twice"}


@pytest.fixture(scope="module")
def restarts(locust: Locust) -> Outcomes:
    """Runs against chats that restart, with a correct or a wrong resume."""
    cases = {str(skew): partial(_outcome, locust, Chat(restart_each=10, skew=skew)) for skew in SKEWS}
    cases |= {
        "alone": partial(_outcome, locust, Chat(restart_each=20)),
        "processes": partial(_outcome, locust, Chat(restart_each=20), PROCESSES),
    }
    return at_once(cases, limit=2)  # more runs at the same time could make a correct restart fail


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["alone", "processes"])
def test_a_restart_is_no_failure_and_is_said(restarts: Outcomes, how: str) -> None:
    """Each user reconnects, resumes, and hears all messages."""
    outcome = restarts[how].result()

    assert outcome.code == 0, outcome.output
    assert "/ws/chat came back" in outcome.output
    assert "/events came back" in outcome.output


@pytest.mark.timeout(120)
@pytest.mark.parametrize("skew", SKEWS)
def test_a_resume_that_skips_or_repeats_fails_the_run(restarts: Outcomes, skew: int) -> None:
    """The messages after a reconnect must continue exactly where the connection ended."""
    outcome = restarts[str(skew)].result()

    assert outcome.code == 1, outcome.output
    assert re.search(rf"/ws/chat.*{SKEWS[skew]}", failures(outcome))
    assert re.search(rf"/events.*{SKEWS[skew]}", failures(outcome))

"""Load tests notice a server that loses, doubles or reorders what is said, and one that restarts is no failure."""

import re

import pytest

from tests.loadtest.chat_server import Chat, Client, Deliver, serving
from tests.loadtest.conftest import Locust, Outcome

ALONE_OR_TWO = pytest.mark.parametrize("how", [(), ("--processes", "2")], ids=["alone", "processes"])


def one_in_five_lost(number: int, client: Client) -> list[int]:
    """Every fifth message comes to no client."""
    return [] if number % 5 == 0 else [number]


def twice(number: int, client: Client) -> list[int]:
    """Each message comes two times."""
    return [number, number]


def to_its_sender_alone(number: int, client: Client) -> list[int]:
    """A sender that looks at its own answers alone sees nothing wrong."""
    return [number] if number in client.said else []


def one_in_five_to_its_sender_alone(number: int, client: Client) -> list[int]:
    """The others miss some."""
    return [number] if number % 5 or number in client.said else []


def swapped(number: int, client: Client) -> list[int]:
    """Every other client hears two messages in the wrong order."""
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


def failures(outcome: Outcome) -> str:
    """locust's table of failures, the last thing that it prints."""
    return outcome.output.partition("Error report")[2]


@pytest.mark.parametrize(
    "how", [pytest.param((), id="alone"), pytest.param(("--processes", "2"), id="processes", marks=pytest.mark.suite)]
)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_chat_that_delivers_badly_fails_the_run(locust: Locust, fault: str, how: tuple[str, ...]) -> None:
    """Whatever is wrong is named in the table of failures, for both ways to listen, and the exit code tells."""
    deliver, expected = FAULTS[fault]

    with serving(Chat(deliver)) as host:
        outcome = locust(*how, *RUN, host=host, seconds=4)

    assert outcome.code == 1, outcome.output
    assert re.search(rf"/ws/chat.*{expected}", failures(outcome))
    assert re.search(rf"/events.*{expected}", failures(outcome))


@ALONE_OR_TWO
def test_a_restart_is_no_failure_and_is_said(locust: Locust, how: tuple[str, ...]) -> None:
    """Each user comes back, resumes, and hears all."""
    with serving(Chat(restart_each=20)) as host:
        outcome = locust(*how, *RUN, host=host, seconds=4)

    assert outcome.code == 0, outcome.output
    assert "/ws/chat came back" in outcome.output
    assert "/events came back" in outcome.output


@pytest.mark.parametrize(("skew", "expected"), [(1, "not delivered in 10 s"), (-1, "the same message twice")])
def test_a_resume_that_skips_or_repeats_fails_the_run(locust: Locust, skew: int, expected: str) -> None:
    """What comes after a reconnect must begin where it ended."""
    with serving(Chat(restart_each=10, skew=skew)) as host:
        outcome = locust(*RUN, host=host, seconds=4)

    assert outcome.code == 1, outcome.output
    assert re.search(rf"/ws/chat.*{expected}", failures(outcome))
    assert re.search(rf"/events.*{expected}", failures(outcome))

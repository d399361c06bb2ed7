"""The messages between the arbiter and a worker, and the bell that announces a new one."""

import select
from collections.abc import Callable

import pytest

from slipway.serving.mailbox import Mailbox


def rings(mailbox: Mailbox) -> bool:
    assert mailbox.bell is not None
    return bool(select.select([mailbox.bell], [], [], 0)[0])


@pytest.mark.parametrize("write", [Mailbox.ask, Mailbox.admit, Mailbox.say_lame_duck, Mailbox.ring])
def test_the_arbiter_rings(write: Callable[[Mailbox], None]) -> None:
    """Each message of the arbiter rings the bell until the worker silences it."""
    mailbox = Mailbox(admitted=False)
    before = rings(mailbox)
    write(mailbox)
    during = rings(mailbox)
    mailbox.silence()

    assert (before, during, rings(mailbox)) == (False, True, False)
    mailbox.close()


def test_a_word_that_is_said_already_rings_no_more() -> None:
    """A repeated message does not ring again: the arbiter writes that of a lame duck many times a second."""
    mailbox = Mailbox(admitted=True)
    mailbox.say_lame_duck()
    mailbox.silence()
    mailbox.say_lame_duck()

    assert not rings(mailbox)
    mailbox.close()


def test_a_closed_mailbox_is_written_without_a_sound() -> None:
    """A closed mailbox can still be written, without ringing, since a later step may handle its ended worker."""
    mailbox = Mailbox(admitted=False)
    mailbox.close()
    mailbox.close()
    mailbox.ask()
    mailbox.silence()

    assert mailbox.question == 1

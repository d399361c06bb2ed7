"""The words between the arbiter and a worker, and the bell that says that there is a new one."""

import select
from collections.abc import Callable

import pytest

from slipway.serving.mailbox import Mailbox


def rings(mailbox: Mailbox) -> bool:
    assert mailbox.bell is not None
    return bool(select.select([mailbox.bell], [], [], 0)[0])


@pytest.mark.parametrize("write", [Mailbox.ask, Mailbox.admit, Mailbox.say_lame_duck, Mailbox.ring])
def test_the_arbiter_rings(write: Callable[[Mailbox], None]) -> None:
    """With each word that is the arbiter's to write, until the worker has heard it."""
    mailbox = Mailbox(admitted=False)
    before = rings(mailbox)
    write(mailbox)
    during = rings(mailbox)
    mailbox.silence()

    assert (before, during, rings(mailbox)) == (False, True, False)
    mailbox.close()


def test_a_word_that_is_said_already_rings_no_more() -> None:
    """A lame duck's arbiter says so many times a second."""
    mailbox = Mailbox(admitted=True)
    mailbox.say_lame_duck()
    mailbox.silence()
    mailbox.say_lame_duck()

    assert not rings(mailbox)
    mailbox.close()


def test_a_closed_mailbox_is_written_without_a_sound() -> None:
    """Its worker has ended, and another step may still have to do with it."""
    mailbox = Mailbox(admitted=False)
    mailbox.close()
    mailbox.close()
    mailbox.ask()
    mailbox.silence()

    assert mailbox.question == 1

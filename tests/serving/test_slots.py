"""The slot of each worker, and the workers that serve slots which have lost theirs."""

import pytest

from slipway.serving.slots import Loans, emptiest, lend_orphans


@pytest.mark.parametrize(
    ("used", "slot"), [([], 0), ([0, 1], 2), ([0, 2], 1), ([0, 1, 2], 0), ([0, 1, 2, 0], 1), ([2, 2, 1], 0)]
)
def test_new_worker_gets_the_emptiest_slot(used: list[int], slot: int) -> None:
    """A new worker gets the first of the slots with the fewest workers."""
    assert emptiest(3, used) == slot


def test_orphans_are_lent_in_turn_and_taken_back() -> None:
    """Slots without a worker are lent to other workers in turn, and taken back when they have one again."""
    loans = Loans(4)

    lend_orphans(loans, 4, [(1, 101), (3, 103)])
    assert (loans.of(101), loans.of(103)) == ([0], [2])

    lend_orphans(loans, 4, [(0, 100), (1, 101), (3, 103)])
    assert (loans.of(100), loans.of(101), loans.of(103)) == ([2], [], [])

    lend_orphans(loans, 4, [])
    assert [loans.of(pid) for pid in (100, 101, 103)] == [[], [], []]


def test_what_is_lent_anew_is_told() -> None:
    """Workers are woken when a slot is lent or taken back, and not while nothing changes."""
    loans = Loans(2)

    assert [lend_orphans(loans, 2, workers) for workers in ([(0, 100)], [(0, 100)], [(0, 100), (1, 101)])] == [
        True,
        False,
        True,
    ]

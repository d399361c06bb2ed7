"""Answers that differ by a byte are found before any measurement."""

from bench.figures import verify
from tests.bench.fake_servers import ANSWER, serving, wrong_each


def test_the_same_answers_differ_in_nothing() -> None:
    """Different values of Date, Server and the request id are no differences."""
    dated = ANSWER.replace(b"\r\n", b"\r\nDate: now\r\nServer: another\r\n", 1)

    with serving(lambda request, now: (0, ANSWER)) as one, serving(lambda request, now: (0, dated)) as two:
        assert verify.differences(one, two, seed=1) == []


def test_one_wrong_byte_is_named_with_its_request() -> None:
    count = len(verify.verification_requests(1))

    with serving(lambda request, now: (0, ANSWER)) as one, serving(wrong_each(count)) as two:
        found = verify.differences(one, two, seed=1)

    last = verify.verification_requests(1)[-1]
    assert [text.partition(":")[0] for text in found] == [f"{last.method} {last.path}"]
    assert "Hello, Wirld!" in found[0]


def test_another_header_is_a_difference() -> None:
    more = ANSWER.replace(b"\r\n", b"\r\nX-Powered-By: it\r\n", 1)

    with serving(lambda request, now: (0, ANSWER)) as one, serving(lambda request, now: (0, more)) as two:
        assert len(verify.differences(one, two, seed=1)) == len(verify.verification_requests(1))


def test_each_seed_asks_with_other_values() -> None:
    assert verify.verification_requests(1) == verify.verification_requests(1) != verify.verification_requests(2)

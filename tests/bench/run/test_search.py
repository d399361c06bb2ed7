"""The search finds the highest sustained rate, and reports when the generator was the limit."""

from collections.abc import Callable

from bench.run.search import Probe, search


def server(capacity: float, *, generator: float = 1e9) -> Callable[[float], Probe]:
    """Return the probe of a server that sustains every rate up to its capacity."""

    def probe(rate: float) -> Probe:
        late = rate > capacity
        return Probe(rate, 0.9 if late else 1.0, 500 if late else 5, 0, rate <= generator)

    return probe


def test_it_comes_close_to_the_capacity_from_above_and_below() -> None:
    for high in (400, 5_000):
        found = search(server(1_000), low=10, high=high, objective=100, probes=12)

        assert 800 <= found.rate <= 1_000
        assert not found.limited


def test_a_rate_with_errors_does_not_hold() -> None:
    found = search(lambda rate: Probe(rate, 1, 1, int(rate > 50), True), low=1, high=400, objective=100, probes=10)

    assert 40 <= found.rate <= 50


def test_a_generator_that_ends_first_is_named() -> None:
    found = search(server(1e9, generator=1_000), low=10, high=5_000, objective=100, probes=10)

    assert found.limited and found.rate <= 1_000


def test_what_never_holds_is_zero() -> None:
    assert search(server(0), low=1, high=100, objective=100, probes=4).rate == 0


def test_no_probe_goes_above_a_rate_that_did_not_hold() -> None:
    """After a failed probe each further one is below it, also where the capacity is close to it."""
    for capacity in (300, 1_000, 4_900):
        rates = [one.rate for one in search(server(capacity), low=10, high=5_000, objective=100, probes=12).probes]
        ceilings = [min((rate for rate in rates[:n] if rate > capacity), default=None) for n in range(len(rates))]

        assert all(rate < ceiling for rate, ceiling in zip(rates, ceilings, strict=True) if ceiling)

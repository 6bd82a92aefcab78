"""A request's share of a key's limits is compared in place: as its parts would say, one by one."""

from __future__ import annotations

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from nexus_core.keys.meter import KeyMeter
from nexus_core.keys.shared_limits import SharedLimits
from nexus_core.state.clock import lease_clock
from nexus_core.state.leases.counts import Counts
from nexus_core.state.leases.lease import Term
from nexus_core.state.leases.rates import RateLease, Rates

_LIMIT = st.none() | st.integers(1, 5)
_LEFT = st.tuples(st.integers(-1, 3), st.integers(0, 2))  # and what of it is set aside


def has_room(rate: RateLease | None, amount: int) -> bool:
    return rate is None or rate.free >= amount


@given(st.booleans(), _LIMIT, _LIMIT, _LIMIT, st.integers(0, 4), st.integers(1, 5), _LEFT, _LEFT)
def test_a_request_enters_where_each_of_its_limits_has_room(
    is_heard: bool,
    rpm: int | None,
    tpm: int | None,
    parallel: int | None,
    held: int,
    under_way: int,
    of_requests: tuple[int, int],
    of_tokens: tuple[int, int],
) -> None:
    link, term, tokens = cast("Any", None), Term(60.0, lease_clock), 2
    if is_heard:
        term.renew(lease_clock())
    meter, counts = KeyMeter(), Counts(link, term, lambda _, __: None)
    meter.configure(rpm=rpm, tpm=tpm, parallel=parallel)
    limits = SharedLimits("laptop", meter, counts, Rates(link, term, lease_clock), "block")
    meter.under_way = under_way
    for rate, (left, aside) in ((limits.rpm, of_requests), (limits.tpm, of_tokens)):
        if rate is not None:
            rate.left, rate.aside = left, aside
    count = limits.parallel
    if count is not None:
        count.held = held
    fits = count is None or under_way <= counts.usable(count)
    expected = is_heard and fits and has_room(limits.rpm, 1) and has_room(limits.tpm, tokens)

    entered = limits.enters(tokens)

    assert entered is expected
    taken = (1, tokens) if entered else (0, 0)
    for rate, (left, _), one in zip(
        (limits.rpm, limits.tpm), (of_requests, of_tokens), taken, strict=True
    ):
        assert rate is None or rate.left == left - one
    assert count is None or not is_heard or count.peak == under_way

"""What a killed worker counted after its last word, told from the rows of its ledger."""

from __future__ import annotations

from nexus_core.observe.stats import Stats
from nexus_core.workers.counted_rows import count_rows
from tests.money.ledger_rows import row
from tests.observe.happened import received


def test_what_ended_after_the_last_word_is_counted_and_nothing_twice() -> None:
    rows = [row(request_id="a", at=10.0), row(request_id="b", at=11.0)]

    counted = count_rows(Stats(), rows, after=10.0)

    assert (counted.requests, counted.finished, counted.in_flight) == (1, 1, 0)


def test_one_that_was_under_way_then_is_ended() -> None:
    told = Stats()
    told.apply(received("b", at=9.0, model="gpt-4o"))

    counted = count_rows(told, [row(request_id="b", at=11.0)], after=10.0)

    assert (counted.requests, counted.finished, counted.in_flight) == (1, 1, 0)
    assert counted.backends["openai"].answers == 1
    assert counted.total.count == 1
    assert (told.finished, told.in_flight) == (0, 1)  # nothing was changed of what it said

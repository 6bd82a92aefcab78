"""What several processes had counted: less that, the sum of their statistics is of the window."""

from __future__ import annotations

from nexus_core.observe.stats import Stats
from nexus_core.observe.summed.counted import sum_counted
from nexus_core.observe.summed.stats import sum_stats
from nexus_core.observe.windows.counted import count_until_now, since


def counted_a_little(ms: float) -> Stats:
    stats = Stats()
    stats.requests += 1
    stats.statuses[200] += 1
    stats.refusals["bad_body"] += 1
    stats.first_byte.add(ms)
    stats.backends["a"].answers += 1
    stats.backends["a"].errors["503"] += 1
    stats.backends["a"].total.add(ms)
    return stats


def test_the_window_of_all_is_the_windows_together() -> None:
    parts = [counted_a_little(5.0), counted_a_little(9_000.0)]
    before = sum_counted([count_until_now(part) for part in parts])
    for part in parts:
        part.requests += 10
        part.first_byte.add(70.0)
        part.backends["a"].answers += 10
        part.backends["a"].total.add(70.0)
    parts[0].backends["b"].failures += 1

    window = since(sum_stats(parts), before)

    assert (window.requests, window.statuses[200], window.refusals.total()) == (20, 0, 0)
    assert (window.first_byte.count, round(window.first_byte.sum_ms)) == (2, 140)
    assert (window.backends["a"].answers, window.backends["a"].errors.total()) == (20, 0)
    assert window.backends["a"].total.count == 2
    assert window.backends["b"].failures == 1


def test_a_part_that_had_counted_nothing_takes_nothing_away() -> None:
    stats = counted_a_little(5.0)

    together = sum_counted([count_until_now(stats), count_until_now(Stats())])

    assert together.counters["requests"] == 1
    assert together.histograms["first_byte"] == stats.first_byte.mark()

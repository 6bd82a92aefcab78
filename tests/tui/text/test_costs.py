"""What a request cost: est and actual apart, and nothing unknown that reads as free."""

from __future__ import annotations

import pytest

from nexus_core.observe.operation_stats import BackendStats
from nexus_core.observe.record import RequestRecord
from nexus_core.types import Cost, CountMethod, QueueState
from nexus_tui.app import NexusApp
from nexus_tui.text.costs import cost_cell, cost_difference, cost_words, tokens_words
from nexus_tui.text.numbers import NOTHING
from nexus_tui.widgets.cells.backends import spent_cell
from tests.tui.fleet import Story, fixed_now, make_source, publish
from tests.tui.screen import screen_text
from tests.waiting import until

LOCAL = Story(1, "llama3:70b", "vllm-a")
ALIASED = Story(1, "gpt-4", "local-llama", served="llama3:70b", tokens=(400, 200))
PRICED = Story(1, "gpt-4o", "openai", tokens=(400, 200))
DEARER = Story(1, "gpt-4o", "openai", tokens=(400, 1200))
UNPRICED = Story(1, "o-large", "other-cloud")
RUNNING = Story(1, "gpt-4o", "openai", total_ms=None, tokens=None)
REFUSED = Story(1, "gpt-4o", None, None, status=503, first_ms=None, tokens=None)


def row_of(story: Story) -> RequestRecord:
    source, gateway = make_source(plays=False)
    app = NexusApp(source, now=fixed_now)
    publish(gateway, "r", story)
    app.view.take(source.changed())
    source.close()
    return app.view.view[0]


def counted_here(row: RequestRecord, *, is_partial: bool = False) -> RequestRecord:
    assert not row.is_live
    row.counted, row.is_partial = CountMethod.ESTIMATED, is_partial
    return row


@pytest.mark.parametrize(
    ("story", "cell", "words"),
    [
        (LOCAL, "–", ""),  # noqa: RUF001
        (ALIASED, "–", "local, saved ≈ $0.0030 (gpt-4)"),  # noqa: RUF001
        (PRICED, "$0.0030", "$0.0060 est, $0.0030 actual"),
        (UNPRICED, "unpriced", "unpriced: add it to [pricing]"),
        (RUNNING, "–", ""),  # noqa: RUF001
        (REFUSED, "–", ""),  # noqa: RUF001
    ],
)
def test_a_request_s_cost_in_a_cell_and_in_words(story: Story, cell: str, words: str) -> None:
    row = row_of(story)

    assert cost_cell(row)[0] == cell
    assert cost_words(row) == words


def test_what_nexus_counted_itself_is_never_called_actual() -> None:
    row = counted_here(row_of(PRICED), is_partial=True)

    assert cost_cell(row)[0] == "≈$0.0030"
    assert "actual" not in cost_words(row)
    assert cost_words(row).endswith("≈$0.0030 counted by Nexus, of what came until it broke off")


def test_tokens_and_differences_of_what_nexus_counted_itself_say_so() -> None:
    row = counted_here(row_of(PRICED))

    assert tokens_words(row) == "≈400 in, ≈200 out"
    assert tokens_words(row_of(PRICED)) == "400 in, 200 out"
    assert tokens_words(row_of(RUNNING)) == ""
    assert cost_difference(row, row_of(DEARER)) == "Δ cost ≈+$0.0100"
    assert cost_difference(row_of(DEARER), row) == "Δ cost ≈-$0.0100"


def test_a_cost_that_the_backend_reported_says_so() -> None:
    row = row_of(PRICED)
    row.cost = Cost(3_000_000, "reported")

    assert cost_words(row) == "$0.0060 est, $0.0030 as reported by the backend"


@pytest.mark.parametrize(
    ("estimated", "unpriced", "cell"),
    [(0, 0, "$0.5000"), (1, 0, "≈$0.5000"), (1, 2, "≥ $0.5000"), (0, 2, "≥ $0.5000")],
)
def test_a_backend_s_sum_says_what_it_is_made_of(estimated: int, unpriced: int, cell: str) -> None:
    stats = BackendStats(cost_nano_usd=500_000_000, estimated_nano_usd=estimated, unpriced=unpriced)

    assert spent_cell(stats)[0] == cell


@pytest.mark.parametrize(
    ("left", "right", "says"),
    [
        (PRICED, DEARER, "Δ cost +$0.0100"),
        (DEARER, PRICED, "Δ cost -$0.0100"),
        (PRICED, LOCAL, "Δ cost -$0.0030"),
        (LOCAL, LOCAL, f"Δ cost {NOTHING}"),
        (LOCAL, UNPRICED, "Δ cost unknown: unpriced"),
        (UNPRICED, UNPRICED, "Δ cost unknown: unpriced"),
        (PRICED, RUNNING, None),
        (PRICED, REFUSED, None),
    ],
)
def test_the_difference_of_two_answers(left: Story, right: Story, says: str | None) -> None:
    assert cost_difference(row_of(left), row_of(right)) == says


async def test_the_dashboard_shows_what_each_backend_and_request_cost() -> None:
    source, gateway = make_source(plays=False)
    for number, story in enumerate((LOCAL, PRICED, UNPRICED)):
        publish(gateway, f"r{number}", story)
    app = NexusApp(source, now=fixed_now)
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.pause()
        await until(lambda: " openai " in screen_text(app).partition("── Live")[0])
        lines = screen_text(app).splitlines()
        await pilot.press("2", "j", "enter")
        detail = screen_text(app)

    panel = lines[: next(n for n, line in enumerate(lines) if "── Live" in line)]
    of = {
        name: next(line for line in panel if f" {name} " in line)
        for name in ("openai", "other-cloud", "vllm-a")
    }
    assert "$0.0030" in of["openai"]
    assert "unpriced" in of["other-cloud"]
    assert "$" not in of["vllm-a"]
    requests = lines[len(panel) :]
    assert sum("$0.0030" in line for line in requests) == 1
    assert sum(" unpriced " in line for line in requests) == 1
    assert "$0.0060 est, $0.0030 actual" in detail


async def test_requests_that_wait_are_counted_where_they_may_wait() -> None:
    source, gateway = make_source(plays=False)
    app = NexusApp(source, now=fixed_now)
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.pause()
        without = screen_text(app)
        gateway.queue_state = QueueState(waiting=3, max_size=50)
        app.painter.paint()
        await pilot.pause()
        waiting = screen_text(app)

    assert "queued" not in without
    assert "queued 3" in waiting

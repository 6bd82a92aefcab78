"""The cells of a request: what went wrong stands there in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nexus_core.observe.facts import SCREEN_LIST
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import RecentRequests
from nexus_tui.text.numbers import NOTHING
from nexus_tui.view.order import request_ways
from nexus_tui.widgets.cells.requests import RequestColumns, request_line, status_cell
from tests.tui.failures import FAILURES
from tests.tui.fleet import Story, make_gateway, publish

UNKNOWN, REFUSED_BY_VENDOR, CUT, LEFT, LEFT_EARLY, LIVE, WAITING = FAILURES
GOOD = Story(1, "gpt-4o", "openai")


def record_of(story: Story) -> RequestRecord:
    gateway = make_gateway()
    watching = gateway.bus.subscribe()
    publish(gateway, "r1", story)
    requests = RecentRequests()
    for event in watching.drain():
        requests.apply(event)
    record = requests.get("r1")
    assert record is not None
    return record


def cells(story: Story, width: int, columns: RequestColumns | None = None) -> dict[str, str]:
    """What stands in each column of a list of this width."""
    chosen = (columns or RequestColumns()).layout(width)
    line = request_line(record_of(story), chosen)
    assert len(line) == len(chosen) + 1
    pairs = zip(chosen, line[1:], strict=True)
    return {column.id: text.strip() for (column, _), (text, _) in pairs}


@pytest.mark.parametrize(
    ("story", "wide", "narrow"),
    [
        (GOOD, "200", "200"),
        (CUT, "200 cut", "cut"),
        (LEFT, "200 left", "left"),
        (LEFT_EARLY, "499 left", "left"),
        (UNKNOWN, "404", "404"),
        (LIVE, "200 live", "live"),
        (WAITING, "…", "…"),
    ],
)
def test_the_status_says_in_a_word_what_it_alone_does_not(
    story: Story, wide: str, narrow: str
) -> None:
    row = record_of(story)

    assert (status_cell(row)[0], status_cell(row, 4)[0]) == (wide, narrow)


def test_a_good_answer_and_a_bad_one_differ_by_more_than_colour() -> None:
    shown = {status_cell(record_of(story), 4)[0] for story in (GOOD, CUT, LEFT)}

    assert len(shown) == 3


@pytest.mark.parametrize(
    ("story", "code"),
    [
        (UNKNOWN, "model_not_found"),
        (REFUSED_BY_VENDOR, "upstream_429"),
        (CUT, "upstream_error"),
        (replace(CUT, error_code=None), "failed"),  # as an older Nexus tells it
        (GOOD, "capability-match"),
        (LEFT, "capability-match"),
    ],
)
def test_the_reason_column_says_why_a_request_failed(story: Story, code: str) -> None:
    assert cells(story, 120)["reason"] == code


def test_where_there_is_room_the_error_has_a_column_and_the_reason_its_own() -> None:
    shown = cells(CUT, 310)

    assert shown["reason"] == "capability-match"
    assert shown["error"].startswith('upstream_error: backend "vllm-a": the stream ended')
    assert cells(GOOD, 300)["error"] == NOTHING


def test_in_a_narrow_list_the_error_of_a_request_that_nobody_got_stands_for_the_backend() -> None:
    assert "model_not" in cells(UNKNOWN, 80)["backend"]
    assert cells(CUT, 80)["backend"] == "vllm-a"


def test_what_runs_says_so_in_its_total() -> None:
    assert cells(LIVE, 120)["total"] == "stream…"
    assert cells(WAITING, 120)["total"] == "waiting…"


@pytest.mark.parametrize("width", [20, 60, 80, 100, 120, 150, 200, 300])
def test_a_row_is_as_wide_as_its_list_at_most(width: int) -> None:
    columns = RequestColumns().layout(width)

    for story in (GOOD, *FAILURES):
        line = request_line(record_of(story), columns)
        assert len("".join(text for text, _ in line).rstrip()) <= max(width, 10)


def test_more_columns_come_with_more_room() -> None:
    shown = {width: [*cells(GOOD, width)] for width in (80, 120, 150, 200, 240)}

    assert shown[80] == ["time", "model", "backend", "letter", "status", "first", "total", "cost"]
    assert {"id", "zone", "reason", "tokens"} <= {*shown[120]}
    assert {"key", "error"} <= {*shown[150]}
    assert {"key", "error", "tries", "api", "stream"} <= {*shown[200]}
    assert shown[240] == [name for name, _ in SCREEN_LIST if name != "replica"]


def test_in_a_fleet_the_replica_is_shown_where_there_is_room() -> None:
    of_fleet = RequestColumns(is_fleet=True)
    shown = {width: [*cells(GOOD, width, of_fleet)] for width in (60, 80, 120, 260)}

    assert "replica" not in shown[60]
    assert "replica" in shown[120]
    assert shown[260] == [name for name, _ in SCREEN_LIST]


def test_columns_of_a_person_s_own_stand_in_their_order_and_the_last_ones_go_first() -> None:
    own = RequestColumns(("status", "path", "model", "key", "total"))

    assert [*cells(GOOD, 120, own)] == ["status", "path", "model", "key", "total"]
    assert [*cells(GOOD, 64, own)] == ["status", "path", "model", "key"]
    assert [*cells(GOOD, 36, own)] == ["status", "path"]


def test_every_column_but_the_id_can_be_sorted_by() -> None:
    assert {*request_ways(is_fleet=True)} == {name for name, _ in SCREEN_LIST} - {"id"}
    assert {*request_ways()} == {*request_ways(is_fleet=True)} - {"replica"}

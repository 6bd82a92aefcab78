"""Sorting by choice: the menu, the marks, the header, and the way back."""

from __future__ import annotations

import pytest

from nexus_core.config.tui import TuiConfig
from nexus_tui.app import NexusApp
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import make_logs, make_stage
from tests.waiting import until

WIDE = (120, 36)


def make_app(tui: TuiConfig | None = None) -> NexusApp:
    stage = make_stage(has_costs=True)
    if tui is not None:
        stage.gateway.config = stage.gateway.config.model_copy(update={"tui": tui})
    return NexusApp(stage.source, now=fixed_now, logs=make_logs())


def totals(text: str) -> list[str]:
    """The column below `total`, without its unit."""
    title, *rows = text.splitlines()[3:12]
    end = title.index("total") + len("total")
    return [row[end - 8 : end].strip() for row in rows]


async def test_a_letter_of_the_menu_sorts_and_the_header_says_by_what() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        menu = await press(pilot, "2", "s")
        text = await press(pilot, "o")

    assert "▌t     time  ▼ now" in menu
    assert "c     cost" in menu
    assert "── sorted by total ▼ ─" in text.splitlines()[2]
    assert "following" not in text.splitlines()[2]
    assert "total▼" in text.splitlines()[3]
    assert totals(text)[:3] == ["3.1 s", "3.1 s", "3.1 s"]


async def test_what_is_chosen_again_is_turned_around_as_by_its_own_key() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        twice = await press(pilot, "2", "s", "o", "s", "o")
        by_key = await press(pilot, "S")

    assert "sorted by total ▲" in twice
    assert totals(twice)[0] == "1.2 ms"
    assert "total▲" in twice.splitlines()[3]
    assert "sorted by total ▼" in by_key


async def test_a_click_on_a_title_sorts_and_a_second_one_turns_it_around() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "2")
        title = text.splitlines()[3]
        await pilot.click("#request-list", offset=(title.index("model") + 1, 1))
        await until(lambda: "sorted by model ▲" in screen_text(app))
        await pilot.click("#request-list", offset=(title.index("model") + 1, 1))
        await until(lambda: "sorted by model ▼" in screen_text(app))
        await pilot.click("#request-list", offset=(title.index("id"), 1))
        await pilot.pause()

        assert "sorted by model ▼" in screen_text(app)  # nothing is sorted by an id


async def test_escape_undoes_one_thing_at_a_time() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "2", "/", *"vllm", "enter", "s", "o", "enter")
        closed = await press(pilot, "escape")
        in_time = await press(pilot, "escape")
        all_shown = await press(pilot, "escape")

    assert "sorted by total" in closed
    assert "filter: vllm" in in_time
    assert "sorted" not in in_time
    assert "filter" not in all_shown.splitlines()[2]


async def test_the_newest_are_followed_in_the_order_of_time_again() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "2", "j", "s", "o")
        text = await press(pilot, "f")

    assert "── following ─" in text
    assert "time▼" in text
    assert app.tabs.requests.list.cursor == 0


@pytest.mark.parametrize("key", ["o", "b", "e"])
async def test_the_cursor_stays_on_its_request_and_in_sight(key: str) -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "2", "j", "j", "j")
        before = app.tabs.requests.selected
        text = await press(pilot, "s", key)

    assert before is not None
    assert app.tabs.requests.selected is before
    row = next(line for line in text.splitlines() if line.startswith("▌"))
    assert before.request_id in row


async def test_the_live_list_and_the_request_list_share_the_order() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        live = await press(pilot, "s", "c")
        requests = await press(pilot, "2")

    assert "── Live ── sorted by cost ▼" in live
    assert "── Requests ── sorted by cost ▼" in requests


async def test_backends_are_sorted_by_choice_and_escape_brings_back_the_configuration() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        before = await press(pilot, "3", "j")
        by_p50 = await press(pilot, "s", "5")
        title = by_p50.splitlines()[3]
        await pilot.click("#backend-table", offset=(title.index("name"), 1))
        await until(lambda: "sorted by name ▲" in screen_text(app))
        by_name = screen_text(app)
        back = await press(pilot, "escape")

    def names(text: str) -> list[str]:
        return [line[12:28].strip() for line in text.splitlines()[4:10]]

    assert names(by_p50)[:3] == ["openai", "vllm-a", "local-llama"]
    assert "p50▼" in title
    assert names(by_name) == sorted(names(before))
    assert names(back) == names(before)
    for text in (before, by_p50, by_name, back):
        marked = next(line for line in text.splitlines() if line.startswith("▌"))
        assert " vllm-a " in marked  # the cursor stays on its backend


async def test_a_list_that_has_no_columns_says_that_it_can_not_be_sorted() -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "6", "s")

    assert "this list can't be sorted" in text


async def test_columns_are_chosen_in_the_configuration() -> None:
    app = make_app(TuiConfig(columns=("status", "key", "path", "model")))

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "2")

    assert text.splitlines()[3].split() == ["status", "key", "path", "model"]
    assert " ci " in text.splitlines()[4]
    assert "/v1/chat/completions" in text.splitlines()[4]


# The mark at the cursor ---------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["2j", "3j", "5j", "6", "x", "2y"])
async def test_the_row_under_the_cursor_has_a_mark_in_every_list(keys: str) -> None:
    app = make_app()

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, *keys)

    assert text.count("▌") == (2 if keys == "2y" else 1)  # of the menu, and of the list behind it


@pytest.mark.parametrize(
    ("tui", "environ"),
    [
        (TuiConfig(ascii=True), {}),
        (TuiConfig(theme="nexus-ansi"), {}),
        (TuiConfig(), {"NO_COLOR": "1"}),
    ],
    ids=["ascii", "reverse", "no colours"],
)
async def test_the_mark_is_plain_in_ascii_and_on_a_row_in_reverse(
    monkeypatch: pytest.MonkeyPatch, tui: TuiConfig, environ: dict[str, str]
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    app = make_app(tui)

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "2", "j", "m")

    marked = next(line for line in text.splitlines() if line.startswith(">"))
    assert marked[:3] in (">#1", ">◆1")
    assert "▌" not in text


async def test_without_colours_and_in_ascii_the_order_has_its_mark() -> None:
    app = make_app(TuiConfig(ascii=True))

    async with app.run_test(size=WIDE) as pilot:
        largest = await press(pilot, "2", "s", "o")
        smallest = await press(pilot, "S")

    assert "totalv" in largest.splitlines()[3]
    assert "total^" in smallest.splitlines()[3]

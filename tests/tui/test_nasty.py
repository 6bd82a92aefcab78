"""What a person does in an order that nobody planned: keys over dialogs, lists that move away."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import TextArea

from nexus_core.control.commands import SwitchZone
from nexus_core.types import PrivacyZone
from tests.tui.fleet import Story, publish
from tests.tui.screen import paint_round, press, screen_text
from tests.tui.staged import captured, keep_two, make_stage, streamed
from tests.tui.test_states import make_app
from tests.waiting import until

# The detail ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("keys", ["f", "s", "E", "p", "ssS"])
async def test_the_detail_keeps_its_request_whatever_the_list_does(keys: str) -> None:
    stage = make_stage()
    keep_two(stage)
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", *"jjj", "enter", "tab")
        await until(lambda: "The sky is blue because" in screen_text(app))
        await press(pilot, *keys)
        publish(stage.gateway, "newest", Story(0, "llama3:70b", "vllm-a"))
        app.painter.paint()
        text = await press(pilot)

    assert "Request a81f7c" in text
    assert "The sky is blue because" in text


async def test_what_is_done_in_the_detail_is_done_to_its_request() -> None:
    stage = make_stage()
    keep_two(stage)
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", *"jjj", "enter", "f", "m")

    assert [row.request_id for row in app.view.marked] == ["a81f7c"]


async def test_the_neighbours_are_those_of_the_request_that_is_shown() -> None:
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", *"jjj", "enter", "f")
        text = await press(pilot, "]")

    assert "Request a81f7b" in text


async def test_escape_goes_back_to_where_a_request_was_opened() -> None:
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        from_live = await press(pilot, "enter", "escape")
        from_requests = await press(pilot, "2", "enter", "escape")

    assert "── Live ──" in from_live
    assert "── Requests ──" in from_requests


# The list -----------------------------------------------------------------------------------------


async def test_sorting_keeps_the_cursor_on_its_request() -> None:
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", *"jjj")
        before = app.tabs.requests.selected
        for letter in "tyapmbzrxslfonce":
            await press(pilot, "s", letter)
            assert app.tabs.requests.selected is before
        await press(pilot, "S")

    assert app.tabs.requests.selected is before


async def test_escape_elsewhere_leaves_the_filter_of_the_requests_alone() -> None:
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "/", *"vllm", "enter")
        await press(pilot, "3", "escape", "4", "escape")
        kept = await press(pilot, "2")
        cleared = await press(pilot, "escape")

    assert "filter: vllm" in kept
    assert "filter: vllm" not in cleared


@pytest.mark.parametrize("name", ["~nobody-of-that-name/x.jsonl", "x" * 300, "a/b"])
async def test_a_file_that_can_not_be_is_said_and_nothing_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "e", "l")
        entry = app.screen.query_one("#entry")
        entry.value = name  # type: ignore[attr-defined]
        text = await press(pilot, "enter")
        assert app.is_running

    assert app.crash is None
    assert "invalid file name" in text or "No such file" in text
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - nobody waits


# Over a dialog ------------------------------------------------------------------------------------


async def test_a_click_in_a_dialog_opens_nothing_behind_it() -> None:
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "K")
        await pilot.click("#options", offset=(4, 0))  # No
        await pilot.pause()
        after_no = screen_text(app)
        await press(pilot, "1", ":")
        await pilot.click("#actions", offset=(4, 0))
        await pilot.pause()
        await press(pilot, "escape", "x")
        await pilot.click("#explain-result", offset=(4, 2))
        await pilot.pause()
        await press(pilot, "escape")

    assert "lasts until restart" in after_no
    assert app.tab.id != "requests"


async def test_one_question_about_opening_a_zone_is_enough() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, *"!!!!!")
        assert len(app.screen_stack) == 2
        await press(pilot, "y")
        await until(lambda: stage.source.is_zone_enabled(PrivacyZone.OPEN))
        assert len(app.screen_stack) == 1
        await press(pilot, *"!!")
        assert len(app.screen_stack) == 2  # it is asked again the next time


@pytest.mark.parametrize("over", ["?", "x"])
async def test_the_panic_key_of_ones_own_works_over_everything_and_the_old_one_does_not(
    over: str,
) -> None:
    stage = make_stage()
    config = stage.gateway.config
    tui = config.tui.model_copy(update={"keys": {"panic": "ctrl+x"}})
    stage.gateway.config = config.model_copy(update={"tui": tui})
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, over)
        await press(pilot, "!")
        assert not any(isinstance(one, SwitchZone) for one in stage.gateway.commands)
        await press(pilot, "ctrl+x")
        await until(lambda: not stage.source.is_zone_enabled(PrivacyZone.OPEN))


async def test_a_cut_shows_over_the_screens_that_cover_all_of_it() -> None:
    stage = make_stage()
    keep_two(stage)
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", *"jjj", "m", *"jjjj", "m", "d", "!")
        await until(lambda: "OPEN ZONE CUT" in screen_text(app))
        on_diff = screen_text(app)
        await press(pilot, "escape", "x")
        on_explain = screen_text(app)

    assert "── Diff ──" in on_diff
    assert "── Explain ──" in on_explain
    assert "OPEN ZONE CUT" in on_explain


async def test_the_frame_goes_on_under_a_dialog() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "K")
        stage.gateway.cut_open_zone()
        paint_round(app)
        await until(lambda: "OPEN ZONE CUT" in screen_text(app))
        assert "stay" in screen_text(app) or "No, leave it" in screen_text(app)


async def test_ctrl_c_copies_what_is_selected_and_does_not_quit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("nexus_tui.draw.clipboard.native_tool", lambda _: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    stage = make_stage(plays=False)
    publish(stage.gateway, "one", Story(0, "llama3:70b", "vllm-a"))
    stage.kept["one"] = captured("one", streamed("an answer"))
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "y", "d")
        await until(lambda: bool(app.screen.query(TextArea)))
        area = app.screen.query_one(TextArea)
        area.select_all()
        await press(pilot, "ctrl+c", "ctrl+c")
        assert app.is_running
        copied = app.clipboard

    assert '"id": "one"' in copied


# From elsewhere -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "words", "tab", "shown"),
    [
        ("1", "probe", "backends", "done"),
        ("2", "drain", "backends", ""),
        ("4", "capture", "requests", "done"),
        ("3", "level", "logs", "info and above"),
    ],
)
async def test_the_palette_has_every_action_and_opens_the_tab_it_is_for(
    start: str, words: str, tab: str, shown: str
) -> None:
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, start, ":", *words, "enter")
        await until(lambda: app.tab.id == tab)
        await until(lambda: shown in screen_text(app))


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_a_backend_of_the_dashboard_is_opened_by_a_click(size: tuple[int, int]) -> None:
    app = make_app(make_stage())

    async with app.run_test(size=size) as pilot:
        await until(lambda: "vllm-a" in screen_text(app))
        await pilot.pause()
        is_wide = size[0] >= 100
        await pilot.click("#panel", offset=(20, 3) if is_wide else (size[0] // 2 + 5, 1))
        await pilot.pause()
        chosen = app.tabs.backends.table.selected

    assert app.tab.id == "backends"
    assert chosen is not None
    assert chosen.snapshot.name == "vllm-a"


async def test_the_status_line_keeps_its_numbers_beside_every_flag_at_80_columns() -> None:
    stage = make_stage()
    stage.source.is_remote = stage.source.is_read_only = True
    stage.gateway.captures.is_on = True
    stage.gateway.cut_open_zone()
    app = make_app(stage)

    async with app.run_test(size=(80, 24)) as pilot:
        top = (await press(pilot)).splitlines()[0]

    for part in ("127.0.0.1:8000", "R● O✗", " ok", "[CUT]", "[REC]", "[RO]", "[ATT]"):
        assert part in top


async def test_what_still_wants_to_be_drawn_while_the_app_ends_is_no_crash() -> None:
    app = make_app(make_stage())
    async with app.run_test(size=(120, 36)):
        pass

    assert app.screen_stack == []
    for group in ("kpi", "backends", "list"):
        app.painter.paint_group(group)
    app.notice("done")
    app._notices._clear("done")
    assert app.crash is None


async def test_after_a_restart_the_first_request_is_not_drawn_as_the_first_one_before_it() -> None:
    stage, successor = make_stage(plays=False), make_stage(plays=False).gateway
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        publish(stage.gateway, "before", Story(0, "llama3:70b", "vllm-a"))
        app.painter.paint()
        assert "llama3:70b" in await press(pilot, "2")
        stage.source.follow(successor)
        publish(successor, "after", Story(0, "qwen2.5:7b", "lmstudio"))
        app.painter.paint()
        text = await press(pilot)

    assert "qwen2.5:7b" in text
    assert "llama3:70b" not in text

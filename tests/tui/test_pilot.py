from __future__ import annotations

import asyncio
import re

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from nexus_core.control.commands import ClearCooldown
from nexus_tui.app import NexusApp
from tests.tui.fake_gateway import FakeGateway
from tests.tui.fleet import Story, fixed_now, make_source, publish
from tests.tui.screen import paint_round, screen_text, still
from tests.waiting import until


def make_app(
    *, is_empty: bool = False, is_demo: bool = False, plays: bool = True
) -> tuple[NexusApp, FakeGateway]:
    source, gateway = make_source(is_empty=is_empty, is_demo=is_demo, plays=plays)
    return NexusApp(source, now=fixed_now), gateway


async def press(pilot: Pilot[None], *keys: str) -> str:
    await pilot.press(*keys)
    await pilot.pause()
    assert isinstance(pilot.app, NexusApp)
    return screen_text(pilot.app)


async def test_a_new_request_appears_without_a_key() -> None:
    app, gateway = make_app(plays=False)

    async with app.run_test(size=(120, 36)):
        publish(gateway, "fresh", Story(0, "brand-new-model", "openai"))

        await until(lambda: "brand-new-model" in screen_text(app))
        await until(lambda: "requests 1 " in screen_text(app))


@pytest.mark.parametrize("size", [(120, 36), (80, 24), (60, 15), (40, 8), (200, 60), (20, 4)])
async def test_every_tab_fits_every_size(size: tuple[int, int]) -> None:
    app, _ = make_app()

    async with app.run_test(size=size) as pilot:
        for key in ("1", "2", "enter", "escape", "3", "enter", "4", "5", "6"):
            text = await press(pilot, key)
            assert len(text.splitlines()) == size[1]
    assert app.crash is None


async def test_a_small_screen_says_what_it_wants() -> None:
    app, _ = make_app()

    async with app.run_test(size=(60, 15)) as pilot:
        await pilot.pause()
        assert "enlarge to 80x24 for more" in screen_text(app)
        await pilot.resize_terminal(120, 36)
        await until(lambda: "capability-match" in screen_text(app))
        assert "enlarge" not in screen_text(app)


async def test_space_switches_a_backend_and_the_row_follows_the_registry() -> None:
    app, gateway = make_app(plays=False)
    gateway.held.close()
    gateway.confirms = False

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "3", "space")

        assert gateway.switched == [("local-llama", False)]
        assert "○ off" not in text
        assert "switching off…" in text
        assert "lasts until restart" in text

        gateway.registry.set_enabled("local-llama", False)
        await until(lambda: "○ off" in screen_text(app))
        assert "switching" not in screen_text(app)


async def test_a_backend_with_running_requests_drains() -> None:
    app, _ = make_app(plays=False)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "3", "space")

    assert "◐ drain" in text
    assert "2 left, 0 s, then off" in text


async def test_a_backend_that_failed_rests_and_says_why() -> None:
    app, gateway = make_app(plays=False)
    gateway.registry.cooldowns.unreachable("vllm-a", "connection refused")

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "3")

    assert "◐ cooling" in text
    assert "connection refused" in text
    assert "3 of 7 usable" in text


async def test_a_model_with_a_cooldown_is_told_without_calling_its_backend_down() -> None:
    app, gateway = make_app(plays=False)
    gateway.registry.cooldowns.rest("vllm-a", "llama3:70b", 30, "answered 429")

    async with app.run_test(size=(120, 36)) as pilot:
        table = await press(pilot, "3")
        detail = await press(pilot, "j", "enter")
        await pilot.resize_terminal(80, 24)
        small = await press(pilot, "escape", "1")

    row = next(line for line in table.splitlines() if "vllm-a" in line)
    assert "● healthy" in row
    assert re.search(r"llama3:70b: cooldown, (2\d|30) s", row)
    assert "4 of 7 usable" in table
    assert re.search(r"llama3:70b: cooldown, (2\d|30) s left: answered 429", detail)
    assert "1 cooling" in small


async def test_a_long_name_leaves_room_for_the_cooldown_of_its_model() -> None:
    app, gateway = make_app(plays=False)
    name = "vendor/" + "long-name-" * 12
    served = replace(gateway.registry.snapshot("vllm-a"), models={name: name})
    gateway.registry.change(served, models_are_configured=True)
    gateway.registry.cooldowns.rest("vllm-a", name, 30, "answered 429")

    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "3")
        detail = await press(pilot, "j", "enter")

    assert re.search(r"long-name-\S*…: cooldown, (2\d|30) s left: answered 429", detail)


async def test_c_ends_the_cooldowns_of_the_backend_under_the_cursor() -> None:
    app, gateway = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "j", "c")
        await until(lambda: gateway.commands == [ClearCooldown(backend="vllm-a")])


async def test_a_probe_is_asked_for() -> None:
    app, gateway = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", "j", "P")
        await until(lambda: gateway.probed == ["vllm-a"])


async def test_a_backend_that_could_not_be_used_says_why() -> None:
    app, gateway = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "3", "G", "space")

    assert "OPENAI_EU_API_KEY is not set" in text
    assert gateway.switched == []


@pytest.mark.parametrize("size", [(120, 36), (80, 60)])
async def test_the_detail_shows_headers_and_the_decision(size: tuple[int, int]) -> None:
    app, _ = make_app()

    async with app.run_test(size=size) as pilot:
        text = await press(pilot, "2", "j", "j", "j", "enter")

    for wanted in (
        "X-Nexus-Route-Reason",
        "backend-failover",
        "***",
        "529 after 80 ms",
        "answered 529",
        "does not serve",
        "✓ 200",
    ):
        assert wanted in text


async def test_brackets_go_to_the_neighbours_and_escape_goes_back() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        opened = await press(pilot, "enter")
        older = await press(pilot, "]")
        newer = await press(pilot, "[")
        listed = await press(pilot, "escape")

    assert "Request a81f7f" in opened
    assert "Request a81f7e" in older
    assert "Request a81f7f" in newer
    assert "── Live ──" in listed  # where it was opened


async def test_the_filter_narrows_while_it_is_typed_and_escape_clears_it() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        typed = await press(pilot, "slash", *"secret")
        kept = await press(pilot, "enter")
        cleared = await press(pilot, "escape")

    for text in (typed, kept):
        assert "filter: secret" in text
        assert "secret-gpt" in text
        assert "o-large" not in text
    assert "filter:" not in cleared
    assert "o-large" in cleared


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("!status:9xx", "status: must be a number or class"),
        ("!zone:", "zone: must be restricted or open"),
        ("status:9xx !zone:", "status: must be a number or class"),
    ],
)
@pytest.mark.parametrize("width", [60, 80, 120])
async def test_a_filter_that_cannot_be_read_is_named_above_the_list(
    text: str, problem: str, width: int
) -> None:
    app, _ = make_app()

    async with app.run_test(size=(width, 24)) as pilot:
        shown = await press(pilot, "2", "slash", *text, "enter")
        mended = await press(pilot, "escape")

    (head,) = (line for line in shown.splitlines() if "── Requests ──" in line)
    assert problem in head
    assert "gpt-4" not in shown
    assert problem not in mended


async def test_letters_and_digits_do_nothing_else_while_typing() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "slash", *"q2p3")

        assert app.is_running
        assert not app.view.paused
        assert app.view.filter.text == "q2p3"


async def test_errors_only_and_back() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        errors = await press(pilot, "E")
        everything = await press(pilot, "E")

    assert "errors only" in errors
    assert "2 of 897" in errors
    assert "secret-gpt" in errors
    assert "errors only" not in everything


async def test_pause_freezes_the_list_while_the_counters_go_on() -> None:
    app, gateway = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "p")
        publish(gateway, "later", Story(0, "came-later", "openai"))
        await until(lambda: "+1 new" in screen_text(app))
        await until(lambda: "requests 897" in screen_text(app))
        paused = screen_text(app)
        resumed = await press(pilot, "f")

    assert "[PAUSED]" in paused
    assert "came-later" not in paused
    assert "[PAUSED]" not in resumed
    assert "came-later" in resumed


async def test_the_cursor_stays_on_its_request() -> None:
    app, gateway = make_app(plays=False)
    publish(gateway, "first", Story(0, "first-model", "openai"))
    publish(gateway, "second", Story(0, "second-model", "openai"))

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "j")
        for number in range(60):
            publish(gateway, f"n{number}", Story(0, f"flood-{number}", "openai"))
        await until(lambda: "requests 62" in screen_text(app))
        opened = await press(pilot, "enter")

    assert "Request first" in opened


async def test_the_top_follows_again() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        moved = await press(pilot, "j")
        back = await press(pilot, "g")

    assert "not following" in moved
    assert "── following" in back


async def test_ctrl_c_quits_only_at_the_second_time() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        once = await press(pilot, "ctrl+c")
        assert "ctrl+c again quits" in once
        assert app.is_running
        await pilot.press("ctrl+c")
        await until(lambda: not app.is_running)


async def test_q_quits() -> None:
    app, _ = make_app()

    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("q")
        await until(lambda: not app.is_running)
    assert app.crash is None


async def test_stop_ends_the_app() -> None:
    source, _ = make_source()
    stop = asyncio.Event()
    app = NexusApp(source, now=fixed_now, stop=stop)

    async with app.run_test(size=(80, 24)):
        stop.set()
        await until(lambda: not app.is_running)


async def test_help_opens_and_closes_over_any_tab() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 50)) as pilot:
        shown = await press(pilot, "3", "question_mark")
        hidden = await press(pilot, "escape")

    assert "Cut the open zone at once" in shown
    assert "Cut the open zone at once" not in hidden


async def test_the_demo_says_so() -> None:
    app, _ = make_app(is_demo=True)

    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert " DEMO " in screen_text(app).splitlines()[0]


async def test_without_backends_a_newcomer_is_told_what_to_do() -> None:
    app, _ = make_app(is_empty=True)

    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        text = screen_text(app)

    assert "http://127.0.0.1:8000/v1" in text
    assert "curl http://127.0.0.1:8000/v1/chat/completions" in text
    assert "No config file found" in text


async def test_without_colours_the_selection_is_in_reverse(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "j")
        strips = app.screen._compositor.render_strips()

    reversed_rows = [
        strip.text
        for strip in strips[2:-1]
        if any(segment.style and segment.style.reverse for segment in strip)
    ]
    assert len(reversed_rows) == 1
    assert "a81f7e" in reversed_rows[0]


async def test_an_idle_screen_repaints_nothing() -> None:
    app, _ = make_app()

    async with app.run_test(size=(120, 36)) as pilot:
        await still(pilot)
        painted: list[object] = []
        for widget in app.screen.walk_children():
            widget.refresh = lambda *regions, **_: painted.append(regions)  # type: ignore[method-assign,assignment]
        app.view.mark_dirty("kpi", "backends", "list")
        paint_round(app)

    assert painted == []

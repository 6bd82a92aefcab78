from __future__ import annotations

import pytest

from nexus_core.observe.log_ring import LogLine, LogRing
from nexus_tui.app import NexusApp
from nexus_tui.text.escape import escaped
from tests.tui.fleet import Story, fixed_now, make_source, publish
from tests.tui.screen import screen_text
from tests.tui.staged import captured, make_stage

HOSTILE = (
    "[/]",
    "[@click=app.quit]x",
    "[link=http://evil]y",
    "\x1b]0;owned\x07",
    "\x1b[2Jgone",
    "a\u202eb",
    "z\u200bw",
    "l\u2028m",
    "c\x9bd",
    "t\tab",
    "two\nlines",
    "\ud800",
    "漢字模型",
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("llama3:70b", "llama3:70b"),
        ("[/]", "[/]"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x7f", "\\x7f"),
        ("\x9b", "\\x9b"),
        ("a\u202eb", "a\\u202eb"),
        ("\u2066", "\\u2066"),
        ("\u200b\ufeff", "\\u200b\\ufeff"),
        ("\u2028", "\\u2028"),
        ("\n\r\t", "\\x0a\\x0d\\x09"),
        ("\U000e0041", "\\U000e0041"),
        ("\ud800", "\\ud800"),
        ("漢字 é", "漢字 é"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize("model", HOSTILE)
async def test_a_hostile_model_name_is_drawn_as_text_in_list_and_detail(model: str) -> None:
    source, gateway = make_source(plays=False)
    publish(gateway, "id-[/]", Story(1, model, "openai", error=model, status=502))
    app = NexusApp(source, now=fixed_now)

    # At this width the list cuts none of these names.
    async with app.run_test(size=(140, 36)) as pilot:
        await pilot.pause()
        in_list = screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        in_detail = screen_text(app)

    for text in (in_list, in_detail):
        assert escaped(model) in text
        assert not any(char != "\n" and not char.isprintable() for char in text)
    assert app.crash is None


@pytest.mark.parametrize("name", ["[@click=app.quit]x", "\x1b[2Jgone", "a\u202eb", "\ud800"])
async def test_hostile_names_are_text_in_every_dialog_and_tab(name: str) -> None:
    stage = make_stage(plays=False)
    publish(stage.gateway, "id-1", Story(1, name, "openai", error=name, status=502))
    stage.kept["id-1"] = captured("id-1", name.encode(errors="replace"))
    stage.source.notice = name
    logs = LogRing()
    logs.add(LogLine(0, "error", "x", escaped(name)))
    app = NexusApp(stage.source, now=fixed_now, logs=logs)

    async with app.run_test(size=(120, 36)) as pilot:
        for keys in (
            ("x",),
            ("escape", "r"),
            ("escape", "y", "d"),
            ("escape", "6"),
            ("4",),
            ("3",),
        ):
            for key in keys:
                await pilot.press(key)
                await pilot.pause()
            text = screen_text(app)
            assert not any(char != "\n" and not char.isprintable() for char in text)
    assert app.crash is None


async def test_wide_characters_keep_the_columns_aligned() -> None:
    source, gateway = make_source(plays=False)
    publish(gateway, "one", Story(1, "漢字模型" * 9, "openai"))
    publish(gateway, "two", Story(1, "plain", "openai"))
    app = NexusApp(source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        strips = app.screen._compositor.render_strips()

    assert {strip.cell_length for strip in strips} == {120}
    rows = [strip for strip in strips if "412+220" in strip.text]
    before = [row.crop(0, _cells_before(row.text, "openai")).cell_length for row in rows]
    assert len(rows) == 2
    assert before[0] == before[1]


def _cells_before(text: str, word: str) -> int:
    from rich.cells import cell_len

    return cell_len(text[: text.index(word)])

"""Sessions of agents as a list that folds out: keys, filter, order, and the way back."""

from __future__ import annotations

import pytest

from nexus_core.observe.events import RequestRefused
from nexus_tui.app import NexusApp
from tests.tui.agents import CLAUDE_SESSION, CODEX_SESSION, SUBAGENT, ask_as_agents
from tests.tui.fleet import Story, fixed_now, make_source, publish
from tests.tui.screen import paint_round, press, screen_text
from tests.tui.staged import Stage, make_stage

WIDE = (120, 36)


def staged() -> tuple[NexusApp, Stage]:
    stage = make_stage()
    ask_as_agents(stage)
    return NexusApp(stage.source, now=fixed_now), stage


def rows(text: str) -> list[str]:
    """The lines of the list, without the cursor."""
    lines = text.splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("  agent"))
    return [line[1:].strip() for line in lines[first + 1 : -1] if line.strip()]


async def test_a_key_lists_sessions_and_requests_again() -> None:
    app, _ = staged()

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "2", "t")
        assert "── Sessions ── 3 in all, 2 running" in text
        (claude,) = (row for row in rows(text) if "claude-code" in row)
        assert claude.split()[:5] == ["▸", "claude-code", "3f2a9c1d", "live", "5"]
        assert "63k" in claude
        assert "49%" in claude
        text = await press(pilot, "t")

    assert "── Requests ──" in text


async def test_from_the_dashboard_the_key_leads_to_the_sessions() -> None:
    app, _ = staged()

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "t")
        again = await press(pilot, "1", "t")

    assert "── Sessions ──" in text
    assert "── Sessions ──" in again  # not shown before, so it is shown


@pytest.mark.parametrize("key", ["space", "enter"])
async def test_a_session_folds_out_its_subagents_and_requests(key: str) -> None:
    app, _ = staged()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "t", "j")
        text = await press(pilot, key)
        opened = rows(text)
        assert [row.split()[0:2] for row in opened[1:6]] == [
            ["▾", "claude-code"],
            ["▸", "subagent"],
            ["200", "live"],
            ["200", "a82e05"],
            ["200", "a82e00"],
        ]
        both = rows(await press(pilot, "j", key))
        assert both[2].split()[:3] == ["▾", "subagent", SUBAGENT]
        assert [row.split()[1] for row in both[3:5]] == ["a82e02", "a82e01"]
        closed = rows(await press(pilot, "k", key))

    assert len(closed) == 3


async def test_on_a_request_space_folds_in_what_it_belongs_to_and_enter_opens_it() -> None:
    app, _ = staged()

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "t", "j", "space", "j", "j", "j", "enter")
        assert "── Request a82e05 ──" in text
        assert "claude-code, session" in text
        assert CLAUDE_SESSION in text
        older = await press(pilot, "]")
        assert "── Request a82e00 ──" in older
        back = await press(pilot, "escape")
        assert "── Sessions ──" in back
        folded = await press(pilot, "space")

    assert len(rows(folded)) == 3
    assert app.tabs.requests.sessions.line is not None
    assert app.tabs.requests.sessions.line.tally.session == CLAUDE_SESSION


async def test_a_session_leads_to_its_requests_and_back() -> None:
    app, _ = staged()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "t", "j", "j")
        text = await press(pilot, "l")
        assert f"filter: session:={CODEX_SESSION}" in text
        assert {row.origin.agent for row in app.view.view} == {"codex"}
        text = await press(pilot, "escape")

        assert "── Sessions ──" in text
        assert app.view.filter.text == ""
        line = app.tabs.requests.sessions.line
    assert line is not None
    assert line.tally.session == CODEX_SESSION


async def test_a_subagent_leads_to_its_requests_and_a_program_to_those_without_session() -> None:
    app, _ = staged()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "t", "j", "space", "j", "l")
        assert {row.origin.subagent for row in app.view.view} == {SUBAGENT}
        await press(pilot, "escape", "g", "l")

    assert {(row.origin.agent, row.origin.session) for row in app.view.view} == {
        ("openai-python", None)
    }


async def test_a_request_leads_to_those_of_its_session_and_its_program() -> None:
    app, _ = staged()

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "2", "l")
        assert CLAUDE_SESSION in text
        await press(pilot, "i")
        assert app.view.filter.text == f"session:={CLAUDE_SESSION}"
        await press(pilot, "escape", "l", "p")

    assert app.view.filter.text == "agent:=claude-code"


async def test_sessions_are_those_of_the_requests_that_the_filter_leaves() -> None:
    app, _ = staged()

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "t", "/", *"api:responses", "enter")
        assert [row.split()[1] for row in rows(text)] == ["codex"]
        assert "filter: api:responses" in text
        text = await press(pilot, "E")
        assert "errors only" in text
        (codex,) = rows(text)
        assert codex.split()[4] == "1"
        text = await press(pilot, "escape")
        assert len(rows(text)) == 3
        text = await press(pilot, "escape")

    assert "── Requests ──" in text  # nothing was left to undo but the mode


async def test_sessions_are_sorted_and_the_cursor_stays_on_its_own() -> None:
    app, _ = staged()

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "t", "j", "j", "s", "a")
        assert [row.split()[1] for row in rows(text)] == ["claude-code", "codex", "openai-python"]
        line = app.tabs.requests.sessions.line
        assert line is not None
        assert line.tally.session == CODEX_SESSION
        text = await press(pilot, "S")
        assert next(row.split()[1] for row in rows(text)) == "openai-python"
        text = await press(pilot, "escape")

    assert rows(text)[0].split()[1] == "openai-python"  # by the latest activity again


async def test_what_comes_is_added_and_the_cursor_stays_where_it_is() -> None:
    app, stage = staged()

    async with app.run_test(size=WIDE) as pilot:
        await press(pilot, "t", "j", "j")
        headers = (("user-agent", "curl/8.5.0"), ("x-session-id", "mine"))
        publish(stage.gateway, "a83000", Story(-1, "llama3:70b", "vllm-a", headers=headers))
        paint_round(app)
        shown = rows(screen_text(app))

    assert next(row.split()[1] for row in shown) == "curl"
    line = app.tabs.requests.sessions.line
    assert line is not None
    assert line.tally.session == CODEX_SESSION


async def test_without_sessions_it_says_how_a_client_names_one() -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=WIDE) as pilot:
        app.view.clear()
        text = await press(pilot, "t")

    assert "X-Session-Id" in text
    assert app.tabs.requests.sessions.line is None


async def test_calls_that_were_refused_before_they_were_routed_are_no_session() -> None:
    source, gateway = make_source(plays=False)
    gateway.bus.publish(
        RequestRefused(at=fixed_now(), request_id="t", path="/", status=401, code="no_key")
    )
    app = NexusApp(source, now=fixed_now)

    async with app.run_test(size=WIDE) as pilot:
        text = await press(pilot, "2", "t")
        narrowed = await press(pilot, "E")

    assert "No session yet" in text
    assert "Nothing matches" in narrowed

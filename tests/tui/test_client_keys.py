"""The Keys tab: what is shown of client keys, and what is done with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from nexus_tui.app import NexusApp
from nexus_tui.sources.client_keys import ClientKey, Used
from nexus_tui.widgets.key_table import _month
from tests.tui.client_keys import keys_of, make_keys
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import fixed_now
from tests.tui.screen import press
from tests.tui.staged import Stage, make_stage
from tests.waiting import until


@dataclass
class Shown:
    app: NexusApp
    pilot: Pilot[None]
    stage: Stage

    async def press(self, *keys: str) -> str:
        return await press(self.pilot, *keys)

    async def type(self, text: str) -> str:
        for char in text:
            await self.pilot.press({" ": "space"}.get(char, char))
        return await self.press("enter")


@asynccontextmanager
async def opened(
    *, has_keys: bool = True, width: int = 120, is_read_only: bool = False
) -> AsyncIterator[Shown]:
    """The Keys tab with what is told."""
    stage = make_stage(plays=False)
    if has_keys:
        make_keys(stage)
    stage.source.is_read_only = is_read_only
    app = NexusApp(stage.source, now=fixed_now)
    async with app.run_test(size=(width, 30)) as pilot:
        shown = Shown(app, pilot, stage)
        await shown.press("7")
        await until(lambda: app.client_keys.keys is not None)
        await shown.press()
        yield shown
    assert app.crash is None


def row_of(text: str, name: str) -> str:
    return next(line for line in text.splitlines()[6:] if name in line)


async def test_limits_are_bars_and_the_environments_keys_have_none() -> None:
    async with opened(width=160) as shown:
        text = await shown.press("j")

    laptop, ci, gone = (row_of(text, name) for name in ("laptop", "ci-runner", "old-phone"))
    assert "● active" in laptop
    assert "███░ 45/60" in laptop
    assert "2/4" in laptop
    assert "█░░░ $1.25/$20" in laptop
    assert "llama*,qwen*" in laptop
    assert " R " in laptop
    assert "29 d" in laptop
    assert "● env" in ci
    assert "░" not in ci
    assert "revoked" in gone
    assert "3 created" in text
    assert "1 of the environment" in text


@pytest.mark.parametrize(
    ("spent", "budget", "shown"),
    [
        (1.25, 20, "$1.25/$20"),
        (12.5, 500, "$12/$500"),  # with its cents it would not fit
        (1234.5, 5000, "$1,234/$5000"),
    ],
)
def test_an_amount_is_whole_or_has_no_cents(spent: float, budget: float, shown: str) -> None:
    text, _ = _month(
        ClientKey(name="a", state="active", budget_usd=budget, used=Used(spent_usd=spent))
    )

    assert text.partition(" ")[2] == shown


async def test_the_selected_key_is_told_in_words_at_every_width() -> None:
    for width in (80, 120, 200):
        async with opened(width=width) as shown:
            lines = (await shown.press()).splitlines()
            assert "60 requests/min" in lines[3]
            assert "created 2026-01-0" in lines[4]
            assert all(len(line) <= width for line in lines)


async def test_without_keys_it_says_how_one_is_made() -> None:
    async with opened(has_keys=False, width=80) as shown:
        text = await shown.press()

    assert "No client key" in text
    assert "nexus keys create laptop --rpm 60 --budget 20" in text


async def test_it_is_drawn_in_ascii_where_that_is_all_there_is() -> None:
    stage = make_stage(plays=False)
    make_keys(stage)
    app = NexusApp(stage.source, now=fixed_now, draws_ascii=True)
    async with app.run_test(size=(120, 30)) as pilot:
        await press(pilot, "7")
        await until(lambda: app.client_keys.keys is not None)
        text = await press(pilot)

    assert text.isascii()
    assert "###. 45/60" in text


async def test_enter_shows_its_requests_and_esc_leads_back() -> None:
    async with opened() as shown:
        await shown.press("j", "enter")
        assert shown.app.bars.tabs.tab == "requests"
        assert shown.app.view.filter.text == "key:=phone"
        assert shown.app.view.filter.hint is None
        await shown.press("escape")
        assert shown.app.bars.tabs.tab == "keys"


async def test_space_blocks_a_key_and_lets_it_in_again() -> None:
    async with opened() as shown:
        blocked = await shown.press("space")
        assert "laptop is blocked" in blocked
        assert "✗ blocked" in row_of(blocked, "laptop")
        assert keys_of(shown.stage.gateway)["laptop"].blocked == NOW
        free = await shown.press("space")
        assert "● active" in row_of(free, "laptop")
        assert [acted.action for acted in shown.stage.gateway.actions.newest(2)] == [
            "key_unblocked",
            "key_blocked",
        ]


async def test_a_key_of_the_environment_is_not_changed_here() -> None:
    async with opened() as shown:
        for key in ("space", "K", "r", "e"):
            text = await shown.press("g", "j", "j", key)
            assert "ci-runner is a key of the environment" in text
            assert not shown.app.screen.is_modal


async def test_revoking_asks_and_the_default_is_no() -> None:
    async with opened() as shown:
        await shown.press("K", "enter")
        assert keys_of(shown.stage.gateway)["laptop"].revoked is None
        text = await shown.press("K", "y")
        assert keys_of(shown.stage.gateway)["laptop"].revoked == NOW
        assert "laptop is revoked" in text


async def test_a_new_key_is_typed_and_its_secret_is_shown_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with opened(has_keys=False) as shown:
        await shown.press("+")
        problem = await shown.type("tablet rmp=60")
        assert "did you mean rpm?" in problem
        for _ in range(len("tablet rmp=60")):
            await shown.pilot.press("backspace")
        text = await shown.type("tablet rpm=60 models=llama*")

        stored = keys_of(shown.stage.gateway)["tablet"]
        secret = next(word for word in text.split() if word.startswith("nx-"))
        assert stored.is_opened_by(secret.encode(), NOW)
        assert (stored.limits.rpm, stored.limits.models) == (60, ("llama*",))
        assert "shown once" in text
        after = await shown.press("escape")
        assert secret not in after
        logs = await shown.press("6")
        assert secret not in logs + caplog.text
        assert not any(secret in kept.text for kept in shown.stage.gateway.actions.newest(9))


async def test_a_rotated_secret_asks_for_the_grace() -> None:
    async with opened() as shown:
        before = keys_of(shown.stage.gateway)["laptop"]
        text = await shown.press("r", "d")
        after = keys_of(shown.stage.gateway)["laptop"]

        assert after.old_digest == before.digest
        assert after.old_until == NOW + 86_400
        assert "for a day" in text
        secret = next(word for word in text.split() if word.startswith("nx-"))
        assert after.is_opened_by(secret.encode(), NOW)


async def test_limits_are_changed_as_they_are_typed() -> None:
    async with opened() as shown:
        assert "zone=restricted tier=2" in await shown.press("e")
        entry = shown.app.screen.query_one(Input)
        assert entry.value.startswith("budget=20 rpm=60 tpm=100000 parallel=4 models=llama*,qwen*")
        await shown.pilot.press("ctrl+u")
        await shown.type("rpm=120 tier=2 zone=restricted")
        limits = keys_of(shown.stage.gateway)["laptop"].limits

    assert (limits.rpm, limits.tier, limits.budget_usd, limits.models) == (120, 2, None, None)
    assert limits.zone.value == "restricted"
    assert limits.expires is not None


async def test_a_filter_and_an_order_are_as_in_other_lists() -> None:
    async with opened() as shown:
        await shown.press("/")
        text = await shown.type("state:active")
        assert "old-phone" not in text
        assert "2 of 4" in text
        text = await shown.press("escape", "s", "m")
        assert "sorted by month ▼" in text


async def test_a_read_only_screen_changes_nothing_and_says_so() -> None:
    async with opened(is_read_only=True) as shown:
        for key in ("space", "K", "r", "e", "+"):
            assert "read-only" in await shown.press(key)
        assert keys_of(shown.stage.gateway)["laptop"].blocked is None


async def test_nothing_is_asked_for_while_another_tab_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[str]()
    stage = make_stage(plays=False)
    listed = stage.gateway.key_control.listed

    async def counted() -> object:
        asked.append("keys")
        return await listed()

    monkeypatch.setattr(stage.gateway.key_control, "listed", counted)
    app = NexusApp(stage.source, now=fixed_now)
    async with app.run_test(size=(120, 30)) as pilot:
        await press(pilot, "1", "2", "3")
        assert asked == []
        await press(pilot, "7")
        await until(lambda: len(asked) > 0)

"""What each key of the table does, by its id."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from textual.pilot import Pilot

from nexus_core.control.commands import (
    CaptureBodies,
    ClearCooldown,
    Command,
    ProbeBackend,
    ReloadConfig,
    SaveConfig,
    SendRequest,
    SetPriority,
    SetTier,
    SwitchBackend,
    SwitchZone,
)
from nexus_core.types import PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.keymap.keys import KEYS
from nexus_tui.text.example import example_body
from tests.tui.fleet import fixed_now
from tests.tui.screen import screen_text
from tests.tui.staged import Stage, keep_two, make_logs, make_stage
from tests.waiting import until

SELF = "<the key itself>"


@dataclass(frozen=True)
class Case:
    """The keys to press, with SELF for the key in question, and what must be on the screen."""

    keys: tuple[str, ...]
    shown: str = ""
    gone: str = ""  # must not be there any more
    sent: Command | None = None  # what the gateway must have been asked for
    claim: Callable[[NexusApp], bool] = lambda _: True


LIKE_A81F7C = SendRequest(
    body=json.dumps(example_body("o-large", stream=True)).encode(),
    min_tier=3,
)
_TWO_MARKED = ("2", *"jjj", "m", *"jjjj", "m")
CASES: dict[str, Case] = {
    "tab.dashboard": Case(("2", SELF), "── Live ──"),
    "tab.requests": Case((SELF,), "── Requests ──"),
    "tab.backends": Case((SELF,), "lasts until restart"),
    "tab.zones": Case((SELF,), "── Zones ──"),
    "tab.costs": Case((SELF,), "── Costs ──"),
    "tab.logs": Case((SELF,), "── Logs ──"),
    "tab.keys": Case((SELF,), "── Keys ──"),
    "key.create": Case(("7", SELF), "budget=20  models=llama*"),
    "key.limit": Case(("7", SELF), "no client key is selected"),
    "key.rotate": Case(("7", SELF), "no client key is selected"),
    "key.revoke": Case(("7", SELF), "no client key is selected"),
    "copy_keys": Case(("7", SELF), "no client key to copy"),
    "panic": Case(
        (SELF,),
        "OPEN ZONE CUT",
        sent=SwitchZone(zone=PrivacyZone.OPEN, enabled=False, end_running=True),
    ),
    "explain": Case((SELF,), "── Explain ──"),
    "filter": Case((SELF, *"secret"), "filter: secret"),
    "back": Case(("E", SELF), gone="errors only"),
    "pane.next": Case(("2", "enter", SELF, SELF, SELF), "first byte █"),
    "pane.previous": Case(("2", "enter", SELF, SELF), "bytes in, stream out"),
    "zoom": Case((SELF,), gone="── Backends ──"),
    "theme": Case((SELF,), "theme nexus-light"),
    "reload": Case((SELF,), "done", sent=ReloadConfig(only_plan=True)),
    "again": Case((SELF,), "discovery is off"),
    "repaint": Case((SELF,), "── Live ──"),
    "help": Case((SELF,), "Cut the open zone at once"),
    "palette": Case((SELF, *"tab.logs", "enter"), "── Logs ──"),
    "quit": Case((SELF,), claim=lambda app: not app.is_running),
    "interrupt": Case((SELF, SELF), claim=lambda app: not app.is_running),
    "up": Case(("2", "j", "j", SELF, "enter"), "Request a81f7e"),
    "down": Case(("2", SELF, "enter"), "Request a81f7e"),
    "page_up": Case(("2", "G", SELF), "a81c1"),
    "page_down": Case(("2", SELF), "not following"),
    "top": Case(("2", "j", SELF), "── following"),
    "bottom": Case(("2", SELF), "a81c00"),
    "open": Case((SELF,), "Request a81f7f"),
    "sort": Case(("2", SELF, "o"), "sorted by total ▼"),
    "reverse": Case(("2", SELF), "sorted by time ▲"),
    "follow": Case(("j", SELF), "── following"),
    "pause": Case((SELF,), "[PAUSED]"),
    "errors": Case((SELF,), "errors only"),
    "mark": Case(("2", SELF), "◆14:02:30"),
    "diff": Case((*_TWO_MARKED, SELF), "+looks"),
    "replay": Case((*"2jjj", SELF), "Replay a81f7c"),
    "copy": Case((SELF, "i"), "Copied: id   esc closes"),
    "export": Case((SELF, "c"), "nexus-requests-20260109-140231.csv"),
    "capture": Case((SELF,), "done", sent=CaptureBodies(enabled=False)),
    "clear": Case((SELF, "y"), "No request yet."),
    "related": Case(("3", SELF), "filter: backend:=local-llama"),
    "search.next": Case(("2", "enter", SELF), "/ searches"),
    "search.previous": Case(("2", "enter", SELF), "/ searches"),
    "form": Case(("2", *"jjj", "enter", "tab", SELF), "as JSON"),
    "pager": Case(("2", "enter", SELF), "there is no terminal for another program"),
    "previous": Case(("2", "j", "enter", SELF), "Request a81f7f"),
    "next": Case(("2", "enter", SELF), "Request a81f7e"),
    "toggle": Case(("3", "j", SELF), sent=SwitchBackend(backend="vllm-a", enabled=False)),
    "drain": Case(("3", "j", SELF), sent=SwitchBackend(backend="vllm-a", enabled=False)),
    "cut": Case(
        ("3", "j", SELF, "y"),
        sent=SwitchBackend(backend="vllm-a", enabled=False, end_running=True),
    ),
    "probe": Case(("3", SELF), sent=ProbeBackend(backend="local-llama")),
    "cooldown": Case(("3", SELF), sent=ClearCooldown(backend="local-llama")),
    "tier": Case(("3", SELF, "1"), sent=SetTier(backend="local-llama", tier=1)),
    "priority": Case(
        ("3", SELF, "backspace", "backspace", "7", "enter"),
        sent=SetPriority(backend="local-llama", priority=7),
    ),
    "add": Case(("3", SELF), "no unused cloud key"),
    "save": Case(("3", SELF), "done", sent=SaveConfig(only_plan=True)),
    "window": Case((SELF,), "numbers: last 1 h"),
    "sessions": Case(("2", SELF), "── Sessions ──"),
    "fold": Case(("2", "t", SELF), "▾ openai-python"),
    "whole_line": Case(("6", "k", SELF), "error nexus_core.proxy at"),
    "period": Case(("5", SELF), claim=lambda app: app.tabs.costs.table.choice.span == "last month"),
    "copy_costs": Case(("5", SELF), "no cost line to copy"),
    "export_costs": Case(("5", SELF), "no cost line to export"),
    "level": Case(("6", SELF, SELF), "warning and above", gone="listening on"),
    "copy_line": Case(("6", SELF), "Copied: the log line"),
    "simulate": Case((*"2jjj", "x", *"jjjjj", SELF), "other-cloud usable"),
    "explain.send": Case((*"2jjj", "x", SELF, "y"), "done", sent=LIKE_A81F7C),
    "explain.copy": Case(("x", SELF), "Copied: the request as curl"),
    "explain.json": Case(("x", SELF), "Copied: the explanation as JSON"),
    "diff.swap": Case((*_TWO_MARKED, "d", SELF), "+because"),
}
EMPTY_CASES: dict[str, Case] = {
    "again": Case((SELF,), "search for local servers finished"),
    "use_key": Case((SELF,), "OPENAI_API_KEY is used until restart"),
    "save": Case((SELF,), "done", sent=SaveConfig(only_plan=True)),
    "copy_example": Case((SELF,), "Copied: the example request"),
}


def test_every_key_of_the_table_is_tried() -> None:
    assert set(CASES) | set(EMPTY_CASES) == {key.id for key in KEYS}


@pytest.fixture(autouse=True)
def _no_desktop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("nexus_tui.draw.clipboard.native_tool", lambda _: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)


async def do(stage: Stage, key_id: str, case: Case) -> None:
    app = NexusApp(stage.source, now=fixed_now, logs=make_logs())
    key = next(key for key in KEYS if key.id == key_id).keys[0]

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, [key if one == SELF else one for one in case.keys])
        await until(lambda: case.claim(app))
        if app.is_running:
            await until(lambda: case.shown in screen_text(app))
            await until(lambda: not case.gone or case.gone not in screen_text(app))
    assert app.crash is None
    assert case.sent is None or case.sent in stage.gateway.commands


async def press(pilot: Pilot[None], keys: list[str]) -> None:
    """A dialog that a key opens is there before the next key."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


@pytest.mark.parametrize("key_id", CASES)
async def test_key(key_id: str) -> None:
    stage = make_stage()
    keep_two(stage)

    await do(stage, key_id, CASES[key_id])


@pytest.mark.parametrize("key_id", EMPTY_CASES)
async def test_key_without_backends(key_id: str) -> None:
    await do(make_stage(is_empty=True, finds=True), key_id, EMPTY_CASES[key_id])

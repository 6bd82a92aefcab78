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
class Deed:
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
DEEDS: dict[str, Deed] = {
    "tab.dashboard": Deed(("2", SELF), "── Live ──"),
    "tab.requests": Deed((SELF,), "── Requests ──"),
    "tab.backends": Deed((SELF,), "holds until restart"),
    "tab.zones": Deed((SELF,), "── Zones ──"),
    "tab.costs": Deed((SELF,), "── Costs ──"),
    "tab.logs": Deed((SELF,), "── Logs ──"),
    "panic": Deed(
        (SELF,),
        "OPEN ZONE CUT",
        sent=SwitchZone(zone=PrivacyZone.OPEN, enabled=False, end_running=True),
    ),
    "explain": Deed((SELF,), "── Explain ──"),
    "filter": Deed((SELF, *"secret"), "filter: secret"),
    "back": Deed(("E", SELF), gone="errors only"),
    "pane.next": Deed(("2", "enter", SELF, SELF, SELF), "first byte █"),
    "pane.previous": Deed(("2", "enter", SELF, SELF), "bytes in, stream out"),
    "zoom": Deed((SELF,), gone="── Backends ──"),
    "theme": Deed((SELF,), "theme nexus-light"),
    "reload": Deed((SELF,), "done", sent=ReloadConfig(only_plan=True)),
    "again": Deed((SELF,), "nothing is looked for"),
    "repaint": Deed((SELF,), "── Live ──"),
    "help": Deed((SELF,), "Cut the open zone at once"),
    "palette": Deed((SELF, *"tab.logs", "enter"), "── Logs ──"),
    "quit": Deed((SELF,), claim=lambda app: not app.is_running),
    "interrupt": Deed((SELF, SELF), claim=lambda app: not app.is_running),
    "up": Deed(("2", "j", "j", SELF, "enter"), "Request a81f7e"),
    "down": Deed(("2", SELF, "enter"), "Request a81f7e"),
    "page_up": Deed(("2", "G", SELF), "a81c1"),
    "page_down": Deed(("2", SELF), "not following"),
    "top": Deed(("2", "j", SELF), "── following"),
    "bottom": Deed(("2", SELF), "a81c00"),
    "open": Deed((SELF,), "Request a81f7f"),
    "sort": Deed(("2", SELF), "by total"),
    "reverse": Deed(("2", SELF), "by time, reversed"),
    "follow": Deed(("j", SELF), "── following"),
    "pause": Deed((SELF,), "[PAUSED]"),
    "errors": Deed((SELF,), "errors only"),
    "mark": Deed(("2", SELF), "◆14:02:30"),
    "diff": Deed((*_TWO_MARKED, SELF), "+looks"),
    "replay": Deed((*"2jjj", SELF), "Send a81f7c again"),
    "copy": Deed((SELF, "i"), "Copied: id"),
    "export": Deed((SELF, "c"), "nexus-requests-20260109-140231.csv"),
    "capture": Deed((SELF,), "done", sent=CaptureBodies(enabled=False)),
    "clear": Deed((SELF, "y"), "No request yet."),
    "previous": Deed(("2", "j", "enter", SELF), "Request a81f7f"),
    "next": Deed(("2", "enter", SELF), "Request a81f7e"),
    "toggle": Deed(("3", "j", SELF), sent=SwitchBackend(backend="vllm-a", enabled=False)),
    "drain": Deed(("3", "j", SELF), sent=SwitchBackend(backend="vllm-a", enabled=False)),
    "cut": Deed(
        ("3", "j", SELF, "y"),
        sent=SwitchBackend(backend="vllm-a", enabled=False, end_running=True),
    ),
    "probe": Deed(("3", SELF), sent=ProbeBackend(backend="local-llama")),
    "cooldown": Deed(("3", SELF), sent=ClearCooldown(backend="local-llama")),
    "tier": Deed(("3", SELF, "1"), sent=SetTier(backend="local-llama", tier=1)),
    "priority": Deed(
        ("3", SELF, "backspace", "backspace", "7", "enter"),
        sent=SetPriority(backend="local-llama", priority=7),
    ),
    "add": Deed(("3", SELF), "no cloud key was found"),
    "save": Deed(("3", SELF), "done", sent=SaveConfig(only_plan=True)),
    "level": Deed(("6", SELF, SELF), "warning and above", gone="listening on"),
    "copy_line": Deed(("6", SELF), "Copied: the log line"),
    "simulate": Deed((*"2jjj", "x", *"jjjjj", SELF), "other-cloud usable"),
    "explain.send": Deed((*"2jjj", "x", SELF, "y"), "done", sent=LIKE_A81F7C),
    "explain.copy": Deed(("x", SELF), "Copied: the request as curl"),
    "explain.json": Deed(("x", SELF), "Copied: the explanation as JSON"),
    "diff.swap": Deed((*_TWO_MARKED, "d", SELF), "+because"),
}
EMPTY_DEEDS: dict[str, Deed] = {
    "again": Deed((SELF,), "looked for servers"),
    "use_key": Deed((SELF,), "OPENAI_API_KEY is used until restart"),
    "save": Deed((SELF,), "done", sent=SaveConfig(only_plan=True)),
    "copy_example": Deed((SELF,), "Copied: the request to try"),
}


def test_every_key_of_the_table_is_tried() -> None:
    assert set(DEEDS) | set(EMPTY_DEEDS) == {key.id for key in KEYS}


@pytest.fixture(autouse=True)
def _no_desktop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("nexus_tui.draw.clipboard.native_tool", lambda _: None)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)


async def do(stage: Stage, key_id: str, deed: Deed) -> None:
    app = NexusApp(stage.source, now=fixed_now, logs=make_logs())
    key = next(key for key in KEYS if key.id == key_id).keys[0]

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, [key if one == SELF else one for one in deed.keys])
        await until(lambda: deed.claim(app))
        if app.is_running:
            await until(lambda: deed.shown in screen_text(app))
            await until(lambda: not deed.gone or deed.gone not in screen_text(app))
    assert app.crash is None
    assert deed.sent is None or deed.sent in stage.gateway.commands


async def press(pilot: Pilot[None], keys: list[str]) -> None:
    """A dialog that a key opens is there before the next key."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


@pytest.mark.parametrize("key_id", DEEDS)
async def test_key(key_id: str) -> None:
    stage = make_stage()
    keep_two(stage)

    await do(stage, key_id, DEEDS[key_id])


@pytest.mark.parametrize("key_id", EMPTY_DEEDS)
async def test_key_without_backends(key_id: str) -> None:
    await do(make_stage(is_empty=True, finds=True), key_id, EMPTY_DEEDS[key_id])

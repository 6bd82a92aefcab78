"""Every screen in every size, drawn from fixed data; renewed only by --snapshot-update."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot

from nexus_core.config.tui import TuiConfig
from nexus_core.control.actions import Deed
from nexus_core.types import Actor, Via
from nexus_tui.app import NexusApp
from nexus_tui.draw.theme import THEMES
from tests.tui.agents import ask_as_agents
from tests.tui.client_keys import make_keys
from tests.tui.drawn import Cells, DrawnExtension, as_snapshot, colours_in, drawn_cells, text_of
from tests.tui.failures import FAILURES
from tests.tui.fleet import fixed_now, make_source, publish
from tests.tui.screen import press, still
from tests.tui.staged import Stage, keep_two, make_logs, make_stage

SIZES = [(120, 36), (80, 24), (60, 15)]
LOOKED_AT = [(80, 24), (120, 36), (200, 50)]  # in every look
MAIN = ["dashboard", "requests", "backends", "zones", "costs", "logs", "keys"]


def named(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


@dataclass(frozen=True)
class View:
    """What leads to a screen."""

    keys: tuple[str, ...] = ()
    is_empty: bool = False
    prepare: Callable[[Stage], None] = lambda _: None


def cut(stage: Stage) -> None:
    alice = Actor(via=Via.ATTACHED, name="alice", address="10.0.0.5")
    actions = stage.gateway.actions
    actions.note(
        alice, Deed("tier_set", "vllm-a", "set the tier of vllm-a to 3"), effect="it was 2"
    )
    stage.gateway.cut_open_zone()
    effect = "2 running requests ended; no backend left for gpt-4o, claude-sonnet"
    actions.note(alice, Deed("zone_cut", "open", "cut the open zone"), effect=effect)


def fail(stage: Stage) -> None:
    for number, story in enumerate(FAILURES):
        publish(stage.gateway, f"a82c0{number}", story)


def lose_the_link(stage: Stage) -> None:
    stage.source.status = "stale"
    stage.source.stale_since = fixed_now() - 12
    stage.source.is_remote = True


SCREENS: dict[str, View] = {
    "dashboard": View(),
    "requests": View(("2", "j")),
    "failures": View(("2", "j"), prepare=fail),
    "sorted": View(("2", "j", "j", "s", "o")),
    "sessions": View(("t", "j", "space", "j", "space", "j"), prepare=ask_as_agents),
    "sort": View(("2", "s")),
    "detail": View(("2", "j", "j", "j", "enter")),
    "backends": View(("3", "j", "j")),
    "backend": View(("3", "enter")),
    "zones": View(("4",), prepare=cut),
    "costs": View(("5",)),
    "logs": View(("6", "k")),
    "keys": View(("7", "j"), prepare=make_keys),
    "explain": View(("2", "j", "j", "j", "x")),
    "diff": View(("2", *"jjj", "m", *"jjjj", "m", "d"), prepare=keep_two),
    "confirm": View(("3", "K")),
    "palette": View((":", *"cut")),
    "replay": View(("2", *"jjj", "r"), prepare=keep_two),
    "copy": View(("2", "y")),
    "edit": View(("2", *"jjj", "r", "e"), prepare=keep_two),
    "answer": View(("2", *"jjj", "enter", "tab", "/", *"light", "enter"), prepare=keep_two),
    "panes": View(("g", "tab", "j")),
    "empty": View(is_empty=True),
    "stale": View(("2",), prepare=lose_the_link),
}


def make_app(view: View, tui: TuiConfig | None = None) -> NexusApp:
    stage = make_stage(is_empty=view.is_empty, has_costs=not view.is_empty, finds=view.is_empty)
    if tui is not None:
        stage.gateway.config = stage.gateway.config.model_copy(update={"tui": tui})
    view.prepare(stage)
    logs = make_logs()
    logs.last_warning = None
    return NexusApp(stage.source, now=fixed_now, logs=logs)


def presses(keys: tuple[str, ...]) -> Callable[[Pilot[None]], object]:
    async def run(pilot: Pilot[None]) -> None:
        await press(pilot, *keys)

    return run


@pytest.mark.parametrize("size", SIZES, ids=named)
@pytest.mark.parametrize("view", SCREENS.values(), ids=SCREENS.keys())
def test_screen(snap_compare: Callable[..., bool], view: View, size: tuple[int, int]) -> None:
    assert snap_compare(make_app(view), run_before=presses(view.keys), terminal_size=size)


@pytest.fixture
def drawn(snapshot: SnapshotAssertion) -> SnapshotAssertion:
    """Compares with a text that holds the screen and its styles."""
    return snapshot.use_extension(DrawnExtension)


@pytest.mark.parametrize("size", LOOKED_AT, ids=named)
@pytest.mark.parametrize("name", [*MAIN, "failures"])
async def test_looks(
    drawn: SnapshotAssertion,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    size: tuple[int, int],
) -> None:
    """In each theme and without colours."""
    view, looks = SCREENS[name], dict[str, Cells]()
    app = make_app(view)
    async with app.run_test(size=size) as pilot:
        await press(pilot, *view.keys)
        await still(pilot)
        for theme in THEMES:
            app.theme = theme
            app.refresh_everything()
            await press(pilot)
            looks[theme.removeprefix("nexus-")] = drawn_cells(app)
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(view)
    async with app.run_test(size=size) as pilot:
        await press(pilot, *view.keys)
        await still(pilot)
        looks["plain"] = drawn_cells(app)

    assert as_snapshot(looks) == drawn
    # The cursor's mark is another one where the row is in reverse.
    assert len({re.sub(r"(?m)^[▌>]", " ", text_of(cells)) for cells in looks.values()}) == 1
    assert not colours_in(looks["plain"])


@pytest.mark.parametrize("name", [name for name in SCREENS if name not in (*MAIN, "failures")])
async def test_without_colours(
    drawn: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    view = SCREENS[name]
    app = make_app(view)
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, *view.keys)
        await still(pilot)
        cells = drawn_cells(app)

    assert as_snapshot({"plain": cells}) == drawn
    assert not colours_in(cells)


async def test_256_colours(drawn: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLORTERM")
    monkeypatch.setenv("TERM", "screen-256color")
    looks = dict[str, Cells]()
    for look in ("dark", "light"):
        app = make_app(SCREENS["backends"], TuiConfig.model_validate({"theme": f"nexus-{look}"}))
        async with app.run_test(size=(120, 36)) as pilot:
            await press(pilot, "3", "j")
            looks[look] = drawn_cells(app)

    assert as_snapshot(looks) == drawn


def test_ascii(snap_compare: Callable[..., bool]) -> None:
    app = make_app(SCREENS["backends"], TuiConfig(ascii=True))

    assert snap_compare(app, run_before=presses(("3", "j")), terminal_size=(80, 24))


def test_empty_without_a_finder(snap_compare: Callable[..., bool]) -> None:
    source, _ = make_source(is_empty=True)

    assert snap_compare(NexusApp(source, now=fixed_now), terminal_size=(80, 24))


def test_help(snap_compare: Callable[..., bool]) -> None:
    app = make_app(View())

    assert snap_compare(app, run_before=presses(("?",)), terminal_size=(100, 50))

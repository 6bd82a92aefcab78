"""Make the screenshots from the real app on fixed data: `python screenshots/make.py [folder]`.

Needs cairosvg, the cairo library and the font DejaVu Sans Mono (Debian: libcairo2 and
fonts-dejavu-core).
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from nexus_core.control.actions import Deed  # noqa: E402
from nexus_core.control.commands import Command, Outcome, ReloadConfig  # noqa: E402
from nexus_core.errors import ConfigError, ConfigProblem  # noqa: E402
from nexus_core.types import Actor, PrivacyZone, Via  # noqa: E402
from nexus_tui.app import NexusApp  # noqa: E402
from nexus_tui.sources.base import EventSource  # noqa: E402
from tests.tui.agents import ask_as_agents  # noqa: E402
from tests.tui.client_keys import make_keys  # noqa: E402
from tests.tui.fake_gateway import NOW  # noqa: E402
from tests.tui.fleet import SECRET, Story, fixed_now, publish, seen  # noqa: E402
from tests.tui.staged import Stage, keep_two, make_logs, make_stage  # noqa: E402
from tests.tui.three import logs_of_three, make_three  # noqa: E402


@dataclass(frozen=True)
class Shot:
    """One screen: its size, the keys that lead to it, and what is there before."""

    width: int = 120
    height: int = 36
    keys: tuple[str, ...] = ()
    is_empty: bool = False
    prepare: Callable[[Stage], None] = lambda _: None
    is_fleet: bool = False  # of three replicas, about whose cut `!` asks and then tells


def refuse_reload(stage: Stage) -> None:
    """A file with three faults, as `ctrl+r` finds it."""

    async def refuse(command: Command) -> Outcome:
        if isinstance(command, ReloadConfig):
            raise ConfigError(
                [
                    ConfigProblem(
                        'nexus.toml:14: backends[1].zone: "private" is not one of restricted, open',
                        ('  zone = "private"', "         ^"),
                    ),
                    ConfigProblem(
                        'nexus.toml:19: backends[2].teir: unknown key; did you mean "tier"?',
                        ("  teir = 3", "  ^"),
                    ),
                    ConfigProblem(
                        'nexus.toml:31: routing.aliases.fast: is a cycle: "fast" -> "quick" -> '
                        '"fast"',
                        ('  fast = "quick"', "         ^"),
                    ),
                ]
            )
        raise AssertionError(command)

    stage.source.command = refuse  # type: ignore[method-assign]


def cut_open_zone(stage: Stage) -> None:
    """Somebody pressed `!` a while ago."""
    alice = Actor(via=Via.ATTACHED, name="alice", address="10.0.0.5", session="a11ce000")
    stage.gateway.cut_open_zone()
    stage.gateway.actions._now = lambda: NOW - 20  # as the cut above
    stage.gateway.actions.note(
        alice,
        Deed("zone_cut", PrivacyZone.OPEN.value, "cut the open zone"),
        effect="2 ended; no backend left for gpt-4o",
    )
    dropped = seen("openai", None, "enabled", "the open zone is switched off")
    for number in range(17):
        refused = replace(SECRET, ago=19 - number, model="gpt-4o", considered=(dropped,))
        publish(stage.gateway, f"refused-{number}", refused)
    for number in range(41):
        publish(stage.gateway, f"local-{number}", Story(19 - number / 3, "llama3:70b", "vllm-a"))


MARK_TWO = ("2", *"jjj", "m", *"jjjj", "m")
SHOTS: dict[str, Shot] = {
    "dashboard-120x36": Shot(),
    "dashboard-80x24": Shot(80, 24),
    "requests-detail-120x36": Shot(keys=("2", "j", "j", "j", "enter")),
    "backends-120x36": Shot(keys=("3", "j", "j")),
    "zones-cut": Shot(keys=("4",), prepare=cut_open_zone),
    "costs": Shot(keys=("5",)),
    "logs": Shot(keys=("6",)),
    "sessions": Shot(height=18, keys=("2", "t", "j", "space"), prepare=ask_as_agents),
    "explain": Shot(keys=("2", "x")),
    "keys": Shot(height=20, keys=("7",), prepare=make_keys),
    "fleet-cut": Shot(keys=("!",), is_fleet=True),
    "diff": Shot(keys=(*MARK_TWO, "d"), prepare=keep_two),
    "help": Shot(keys=("question_mark",)),
    "errors": Shot(keys=("3", "ctrl+r"), prepare=refuse_reload),
    "empty": Shot(is_empty=True),
}
_FONT = "DejaVu Sans Mono"
_CELL = 12.2  # Rich's width of a cell
_SCALE = 20 / _CELL  # whole pixels per cell, so that blocks join without seams
_TEXT = re.compile(r'<text( class="[^"]*-r\d+") x="([\d.]+)"([^>]*)>([^<]*)</text>')


async def shoot(shot: Shot) -> str:
    """The screen as SVG after the keys."""
    stage = make_stage(is_empty=shot.is_empty, has_costs=not shot.is_empty, finds=shot.is_empty)
    shot.prepare(stage)
    logs = make_logs()
    logs.last_warning = None  # the last line shows the keys
    source: EventSource = stage.source
    if shot.is_fleet:
        three = make_three()
        three.fleet.tell("box-3", beat_at=NOW - 4.2)
        source, logs = three.fleet, logs_of_three()
        logs.last_warning = None
    app = NexusApp(source, now=fixed_now, logs=logs)
    async with app.run_test(size=(shot.width, shot.height)) as pilot:
        await pilot.pause()
        for key in shot.keys:
            await pilot.press(key)
            await pilot.pause()
        await pilot.pause(0.2)
        return app.export_screenshot(title="nexus")


def without_web_font(svg: str) -> str:
    """Name an installed font instead of one that is fetched from the web."""
    svg = re.sub(r"@font-face\s*{[^}]*}", "", svg)
    svg = re.sub(r"font-family:\s*[^;]*;", f"font-family: '{_FONT}', monospace;", svg)
    # Rich lays out cells of 0.61 em; this font's are 0.602 em wide, and long runs would drift.
    return re.sub(r"font-size:\s*20px", f"font-size: {20 * 0.61 / 0.602:.3f}px", svg)


def with_each_character_placed(svg: str) -> str:
    """Give every character its own x: cairo rounds the font's advance, and long runs drift."""

    def placed(found: re.Match[str]) -> str:
        before, x, after, content = found.groups()
        places = " ".join(f"{float(x) + _CELL * at:.1f}" for at in range(len(unescape(content))))
        return f'<text{before} x="{places}"{after}>{content}</text>'

    svg = re.sub(r' textLength="[^"]*"', "", svg)
    return _TEXT.sub(placed, svg)


def main() -> int:
    """Write every shot as SVG and PNG."""
    try:
        import cairosvg
    except (ImportError, OSError) as error:
        print(f"screenshots: cairo is missing ({error})", file=sys.stderr)
        print("install it: pip install cairosvg; apt-get install libcairo2", file=sys.stderr)
        return 1
    os.environ["TZ"] = "UTC"
    os.environ.pop("NO_COLOR", None)
    os.environ |= {"COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}  # whatever is seen from here
    time.tzset()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder.mkdir(parents=True, exist_ok=True)
    for name, shot in SHOTS.items():
        svg = without_web_font(asyncio.run(shoot(shot)))
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        placed = with_each_character_placed(svg).encode()
        cairosvg.svg2png(placed, write_to=str(folder / f"{name}.png"), scale=_SCALE)
        print(folder / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())

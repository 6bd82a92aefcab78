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
from html import unescape
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests" / "tui")]

from fleet import fixed_now, make_source  # noqa: E402

from nexus_tui.app import NexusApp  # noqa: E402

SHOTS: dict[str, tuple[int, int, tuple[str, ...]]] = {
    "dashboard-120x36": (120, 36, ()),
    "dashboard-80x24": (80, 24, ()),
    "requests-detail-120x36": (120, 36, ("2", "j", "j", "j", "enter")),
    "backends-120x36": (120, 36, ("3", "j", "j")),
}
_FONT = "DejaVu Sans Mono"
_CELL = 12.2  # Rich's width of a cell
_SCALE = 20 / _CELL  # whole pixels per cell, so that blocks join without seams
_TEXT = re.compile(r'<text( class="[^"]*-r\d+") x="([\d.]+)"([^>]*)>([^<]*)</text>')


async def shoot(width: int, height: int, keys: tuple[str, ...], *, is_empty: bool = False) -> str:
    """The screen as SVG after some keys."""
    source, _ = make_source(is_empty=is_empty)
    app = NexusApp(source, now=fixed_now)
    async with app.run_test(size=(width, height)) as pilot:
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()
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
    time.tzset()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder.mkdir(parents=True, exist_ok=True)
    for name, (width, height, keys) in SHOTS.items():
        svg = without_web_font(asyncio.run(shoot(width, height, keys)))
        (folder / f"{name}.svg").write_text(svg, encoding="utf-8")
        placed = with_each_character_placed(svg).encode()
        cairosvg.svg2png(placed, write_to=str(folder / f"{name}.png"), scale=_SCALE)
        print(folder / f"{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())

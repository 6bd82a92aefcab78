"""What is on the screen, with its styles, as a short text: for snapshots in several looks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from string import ascii_letters, digits, punctuation

from rich.style import Style
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from nexus_tui.app import NexusApp

# Signs of styles, the plainest first. More styles than signs would be too many for any screen.
_SIGNS = "." + ascii_letters + digits + punctuation.replace(".", "")

Cells = list[list[tuple[str, str]]]  # lines of characters, each with its style


class DrawnExtension(SingleFileSnapshotExtension):
    """A file of text for each snapshot."""

    _write_mode = WriteMode.TEXT
    _file_extension = "txt"


def text_of(cells: Cells) -> str:
    """The screen without its styles."""
    return "\n".join("".join(character for character, _ in line).rstrip() for line in cells)


def drawn_cells(app: NexusApp) -> Cells:
    """Each character of the screen with its style, in words."""
    strips = app.screen._compositor.render_strips()[: app.size.height]
    return [
        [
            (character, _words(segment.style))
            for segment in strip
            if not segment.control
            for character in segment.text
        ]
        for strip in strips
    ]


def _words(style: Style | None) -> str:
    if style is None:
        return "none"
    # The meta of a style says what is clicked there, not how it looks.
    return str(Style(
        color=style.color, bgcolor=style.bgcolor, bold=style.bold, dim=style.dim,
        reverse=style.reverse, underline=style.underline, italic=style.italic,
    )).replace("not bold ", "").replace("not italic ", "")  # fmt: skip


def colours_in(cells: Cells) -> set[str]:
    """Styles that have a colour of their own."""
    styles = {style for line in cells for _, style in line}
    plain = {"bold", "dim", "reverse", "underline", "none", "not", "on", "default"}
    return {style for style in styles if not plain.issuperset(style.split())}


def as_snapshot(looks: Mapping[str, Cells]) -> str:
    """The text once, a sign for the style of each character, and what the sign is in each look.

    Below it the lines that have another text in a look than in the first one.
    """
    (first, shown), *others = looks.items()
    lines = list[str]()
    signs: dict[tuple[str, ...], str] = {}
    for at, line in enumerate(shown):
        styles = [tuple(cells[at][x][1] for cells in looks.values()) for x in range(len(line))]
        for style in styles:
            signs.setdefault(style, _SIGNS[len(signs)])
        lines.append("".join(character for character, _ in line).rstrip())
        runs = [(signs[style], len(list(same))) for style, same in groupby(styles)]
        lines.append("    ~ " + " ".join(f"{sign}{count}" for sign, count in runs))
    for style, sign in signs.items():
        lines += [
            "",
            sign,
            *(f"    {look:<9} {one}" for look, one in zip(looks, style, strict=True)),
        ]
    for look, cells in others:
        for at, line in enumerate(cells):
            text = "".join(character for character, _ in line).rstrip()
            if text != lines[2 * at]:
                lines += ["", f"line {at + 1} in {look} (else as in {first}):", text]
    return "\n".join(lines) + "\n"

"""The help screen: keys of the shown tab first, then the others; searched by `/`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.widgets import Input

from nexus_tui.keymap.keys import Keymap, Place
from nexus_tui.screens.dialog import Dialog
from nexus_tui.text.numbers import fit, wrap
from nexus_tui.view.filter.table import GRAMMAR, LANGUAGES, TableRow, table
from nexus_tui.widgets.base.lines import Line, LineWidget, folded

_KEYS = 12  # columns for the keys
_TERM = 26  # columns for what is written in a filter
_WIDE = 110  # columns of the screen from which there are two columns
_GUTTER = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the help."""

    written: str
    meaning: str
    found_by: str  # more words that a search finds it by

    def holds(self, words: Sequence[str]) -> bool:
        text = f"{self.written} {self.meaning} {self.found_by}".casefold()
        return all(word in text for word in words)


@dataclass(frozen=True, slots=True)
class Section:
    """A title and what is below it."""

    title: str
    entries: tuple[Entry, ...]
    width: int  # columns of what is written

    def lines(self, width: int) -> list[Line]:
        written = min(self.width, max(1, width // 2 - 4))
        lines: list[Line] = [((f" {fit(self.title, width - 1)}".rstrip(), "title"),)]
        for entry in self.entries:
            first, *more = wrap(entry.written, written)  # what is long gets more lines
            lines += folded(((f"   {fit(first, written)} ", "key"), (entry.meaning, "text")), width)
            lines += [((f"   {part}", "key"),) for part in more]
        return [*lines, ()]


Band = tuple[tuple[Section, ...], tuple[Section, ...]]  # what is on the left, and on the right


def help_bands(keymap: Keymap, places: Sequence[Place], kind: str | None) -> list[Band]:
    """What the help says, from the top.

    Args:
        places: of the tab that is shown; their keys come first.
        kind: of the list that can be filtered there.
    """
    here: list[Place] = [place for place in places if place != "lists"]
    sections = {
        place: Section(
            title,
            tuple(Entry(key.all_shown, key.help, f"{key.id} {title}") for key in keys),
            _KEYS,
        )
        for place, title, keys in keymap.by_place(here)
    }
    first = tuple(sections.pop(place) for place in (*here, "lists") if place in sections)
    everywhere = sections.pop("everywhere")
    kinds = sorted(LANGUAGES, key=lambda name: name != kind)
    filters = [_filter_section(f"Filter of {name}", table(LANGUAGES[name])) for name in kinds]
    grammar = _filter_section("Filter", GRAMMAR)
    return [
        (first, (everywhere,)),
        ((filters[0],), (grammar,)),
        _balanced(list(sections.values())),
        _balanced(filters[1:]),
    ]


def _filter_section(title: str, rows: Iterable[TableRow]) -> Section:
    entries = tuple(Entry(row.written, row.meaning, f"{title} {row.also}") for row in rows)
    return Section(title, entries, _TERM)


def _balanced(sections: list[Section]) -> Band:
    """The sections in their order, in two columns of about the same height."""
    total, left = sum(len(one.entries) + 2 for one in sections), 0
    for at, section in enumerate(sections):
        if left + len(section.entries) / 2 >= total / 2:
            return tuple(sections[:at]), tuple(sections[at:])
        left += len(section.entries) + 2
    return tuple(sections), ()


def _found(sections: Iterable[Section], words: Sequence[str]) -> tuple[Section, ...]:
    kept = (
        replace(one, entries=tuple(entry for entry in one.entries if entry.holds(words)))
        for one in sections
    )
    return tuple(one for one in kept if one.entries)


def help_lines(bands: Iterable[Band], width: int, search: str = "", *, is_wide: bool) -> list[Line]:
    """Lines of the help that hold every word searched for; in two columns where it is wide."""
    words = search.casefold().split()
    lines: list[Line] = []
    for left, right in bands:
        left, right = _found(left, words), _found(right, words)
        if is_wide and left and right:
            half = (width - _GUTTER) // 2
            lines += _beside(_of(left, half), _of(right, width - half - _GUTTER), half)
        else:
            lines += _of((*left, *right), width)
    return lines or [(), (("   Nothing here holds that.", "dim"),)]


def _of(sections: Iterable[Section], width: int) -> list[Line]:
    return [line for section in sections for line in section.lines(width)]


def _beside(left: list[Line], right: list[Line], half: int) -> list[Line]:
    lines: list[Line] = []
    for at in range(max(len(left), len(right))):
        one = left[at] if at < len(left) else ()
        other = right[at] if at < len(right) else ()
        used = sum(cell_len(text) for text, _ in one)
        lines.append((*one, (" " * (half + _GUTTER - used), "text"), *other) if other else one)
    return lines


class HelpText(LineWidget):
    """The lines that hold what is searched for."""

    raised = True

    def __init__(self, keymap: Keymap, bands: Sequence[Band]) -> None:
        super().__init__(id="help-text")
        self._names = "  ".join(key.id for key in keymap.keys)
        self._bands = bands
        self.search = ""
        self.is_wide = False
        self._made: tuple[tuple[int, str, bool], list[Line]] | None = None
        self.styles.height = "auto"

    def show(self, search: str) -> None:
        """Show what holds every word of this."""
        self.search = search
        self.refresh(layout=True)
        self.call_after_refresh(self.redraw_all)

    def lines(self, width: int, height: int) -> Sequence[Line]:
        made_for = (width, self.search, self.is_wide)
        if self._made is None or self._made[0] != made_for:
            lines = help_lines(self._bands, width, self.search, is_wide=self.is_wide)
            if not self.search.strip():
                lines += [((" Action names for [tui.keys] and :", "title"),)]
                lines += folded((("   ", "dim"), (self._names, "dim")), width)
            self._made = (made_for, lines)
        return self._made[1]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines(width, 0))


class HelpScreen(Dialog[None]):
    """The help screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1,q,enter", "dismiss", "Close", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "A page up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "A page down", show=False),
        Binding("j,down", "scroll(1)", "Down", show=False),
        Binding("k,up", "scroll(-1)", "Up", show=False),
        Binding("g,home", "scroll(-10000)", "To the top", show=False),
        Binding("G,end", "scroll(10000)", "To the bottom", show=False),
        Binding("slash", "search", "Search", show=False),
        Binding("escape", "back", "Clear the search, or close", show=False),
    ]

    def __init__(
        self, keymap: Keymap, places: Sequence[Place] = ("lists",), kind: str | None = None
    ) -> None:
        super().__init__((("Help", "title"), ("   / searches   esc closes", "dim")))
        self.text = HelpText(keymap, help_bands(keymap, places, kind))
        self._entry = Input(id="entry", placeholder="search in the help")
        self._entry.cursor_blink = False
        self._entry.display = False

    def compose_below(self) -> ComposeResult:
        yield self._entry
        with VerticalScroll(id="help-box", can_focus=False):
            yield self.text

    def on_resize(self, event: events.Resize) -> None:
        is_wide = event.size.width >= _WIDE
        self.set_class(is_wide, "-wide")
        self.text.is_wide = is_wide

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help-box").scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        """Scroll by what is in sight, but for an entry of two lines."""
        self.action_scroll(pages * max(1, self.query_one("#help-box").size.height - 2))

    def action_search(self) -> None:
        """Type what is searched for; the lines that hold it are shown meanwhile."""
        self._entry.display = True
        self._entry.focus()

    def action_back(self) -> None:
        """Clear the search; without one close the help."""
        if not self._entry.display:
            self.dismiss()
            return
        self._entry.value = ""
        self._entry.display = False
        self.set_focus(None)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.text.show(event.value)
        self.query_one("#help-box").scroll_home(animate=False)

    @on(Input.Submitted)
    def _found(self) -> None:
        self.set_focus(None)  # the keys scroll again; the search stays

"""The diff screen: two answers side by side, with differences in tokens, time and backend."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from rich.cells import cell_len
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingsMap
from textual.screen import ModalScreen

from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.record import RequestRecord
from nexus_tui.keymap.bindings import as_bindings
from nexus_tui.keymap.keys import Keymap
from nexus_tui.text.answer import answer_text
from nexus_tui.text.costs import cost_cell, cost_difference, tokens_words
from nexus_tui.text.diff import Comparison, Pair, compare
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING, duration, fit, wrap
from nexus_tui.widgets.base.lines import Line, rule
from nexus_tui.widgets.base.scrolled import ScrolledLines
from nexus_tui.widgets.chrome import Banner, HintBar
from nexus_tui.widgets.panes import CAPTURE_IS_OFF

Side = tuple[RequestRecord, CapturedExchange | None]
Compare = Callable[[str, str], Comparison]
_AT_ONCE_BYTES = 8 * 1024  # of both answers: to find the text in these is quick
_AT_ONCE = 1024  # characters of both texts: to compare these takes some milliseconds
_FOLLOW_SECONDS = 0.5
_BY_LINE = "Too many differences: some lines are compared as a whole."


class DiffText(ScrolledLines):
    """The two columns; scrolls by lines. Long answers are compared beside the event loop."""

    head_lines = 6

    def __init__(self, left: Side, right: Side, compare: Compare) -> None:
        super().__init__(id="diff-text")
        self._sides = (left, right)
        self._compare = compare
        self._comparison: Comparison | None = None
        self._pairs: list[Pair] = []
        self._width = 0  # that the pairs are for, or are made for now
        self._is_comparing = False
        self._is_swapped = False

    @property
    def is_live(self) -> bool:
        """Whether one of the answers is still running."""
        return any(row.is_live for row, _ in self._sides)

    def swap(self) -> None:
        """The right one to the left."""
        self._is_swapped = not self._is_swapped
        self._show(self._sides[1], self._sides[0])

    def learn(self, left: Side, right: Side) -> None:
        """Take in what has come meanwhile, in the order of before the swap."""
        sides = (right, left) if self._is_swapped else (left, right)
        if sides != self._sides and not self._is_comparing:
            self._show(*sides)

    def _show(self, left: Side, right: Side) -> None:
        self._sides = (left, right)
        self._comparison, self._width = None, 0

    def lines(self, width: int, height: int) -> Sequence[Line]:
        half = width // 2 - 1
        body = self._body(half, width, height - self.head_lines)
        return [*self._head(half, width), *body]

    def _head(self, half: int, width: int) -> list[Line]:
        (left, _), (right, _) = self._sides
        is_coarse = self._comparison is not None and self._comparison.is_coarse
        return [
            rule(width, "Diff", "- only on the left, + only on the right"),
            _joined(_name(left), _name(right), half),
            _joined(_numbers(left), _numbers(right), half),
            ((f" {_difference(left, right)}", "live"),),
            ((f" {_BY_LINE}" if is_coarse else "", "warn"),),
            (("─" * half + "┬" + "─" * (width - half - 1), "faint"),),
        ]

    def _body(self, half: int, width: int, height: int) -> list[Line]:
        (_, left), (_, right) = self._sides
        if left is None or right is None:
            missing = (
                "both" if left is right else "the left one" if left is None else "the right one"
            )
            text = f"The answer of {missing} was not captured. {CAPTURE_IS_OFF}"
            return [(), *(((f" {part}", "warn"),) for part in wrap(text, width - 2))]
        if self._width != half:
            self._width = half
            self._lay_out(left.answer, right.answer)
        if self._is_comparing:
            return [(), ((" comparing…", "dim"),)]
        return [_joined(one, other, half) for one, other in self.in_sight(self._pairs, height)]

    def _lay_out(self, left: bytes, right: bytes) -> None:
        """Fill the columns: now where that is quick, else as soon as it is done."""
        if _is_short(left, right):
            self._comparison, self._pairs = self._compared(left, right, self._width)
        else:
            self._is_comparing = True
            self._lay_out_later(left, right, self._width)

    def _compared(self, left: bytes, right: bytes, half: int) -> tuple[Comparison, list[Pair]]:
        comparison = self._comparison or self._compare(answer_text(left), answer_text(right))
        return comparison, comparison.rows(half - 2)

    @work(exclusive=True)
    async def _lay_out_later(self, left: bytes, right: bytes, half: int) -> None:
        done = await asyncio.to_thread(self._compared, left, right, half)
        self._comparison, self._pairs = done
        self._is_comparing = False
        self.redraw()


def _is_short(left: bytes, right: bytes) -> bool:
    if len(left) + len(right) > _AT_ONCE_BYTES:
        return False
    return len(answer_text(left)) + len(answer_text(right)) <= _AT_ONCE


def _joined(left: Line, right: Line, half: int) -> Line:
    used = sum(cell_len(text) for text, _ in left) + 1
    return ((" ", "text"), *left, (" " * max(0, half - used), "text"), ("│ ", "faint"), *right)


def _name(row: RequestRecord) -> Line:
    backend = escaped(row.backend or NOTHING)
    return (
        (f"{fit(escaped(row.request_id), 12)} ", "title"),
        (f"{backend}  ", "bright"),
        (escaped(row.model), "text"),
    )


def _numbers(row: RequestRecord) -> Line:
    status = NOTHING if row.status is None else str(row.status)
    tokens = tokens_words(row) or NOTHING
    cost, style = cost_cell(row)
    return ((f"{status}   {duration(row.total_ms)}   {tokens}   ", "dim"), (cost, style))


def _difference(left: RequestRecord, right: RequestRecord) -> str:
    parts: list[str] = []
    if left.usage is not None and right.usage is not None:
        more = right.usage.completion_tokens - left.usage.completion_tokens
        parts.append(f"Δ tokens {more:+,}")
    if left.total_ms is not None and right.total_ms is not None:
        ms = right.total_ms - left.total_ms
        parts.append(f"Δ time {'-' if ms < 0 else '+'}{duration(abs(ms))}")
    if cost := cost_difference(left, right):
        parts.append(cost)
    if left.first_byte_ms is not None and right.first_byte_ms is not None:
        ms = right.first_byte_ms - left.first_byte_ms
        parts.append(f"Δ first byte {'-' if ms < 0 else '+'}{duration(abs(ms))}")
    return "   ".join(parts) or "one of them is still running"


class DiffScreen(ModalScreen[None]):
    """Full screen, over the tab."""

    AUTO_FOCUS = ""

    def __init__(
        self,
        keymap: Keymap,
        left: Side,
        right: Side,
        alarms: Callable[[bool], list[str]],
        compare: Compare = compare,
        *,
        again: Callable[[], Awaitable[tuple[Side, Side]]] | None = None,
    ) -> None:
        """`again` gives both sides anew, for as long as an answer runs."""
        super().__init__()
        self._again = again
        self._bindings = BindingsMap(
            [
                *as_bindings(keymap.active("diff"), "local"),
                *as_bindings([keymap["panic"]], "app.do"),
            ]
        )
        self.text = DiffText(left, right, compare)
        self.banner = Banner(alarms)
        self.hints = HintBar(lambda: keymap.hints("diff"))

    def compose(self) -> ComposeResult:
        yield self.banner
        yield self.text
        yield self.hints

    def on_mount(self) -> None:
        self.banner.share_room()
        if self._again is not None and self.text.is_live:
            self._follow(self._again)

    @work
    async def _follow(self, again: Callable[[], Awaitable[tuple[Side, Side]]]) -> None:
        """Show more of an answer as it comes."""
        is_live = True
        while is_live:
            await asyncio.sleep(_FOLLOW_SECONDS)
            is_live = self.text.is_live  # what came before its end is learnt after it
            self.text.learn(*await again())
            self.text.redraw()

    @on(HintBar.Chosen)
    def _hint_clicked(self, message: HintBar.Chosen) -> None:
        message.stop()
        self.action_local(message.key_id)

    def action_local(self, key_id: str) -> None:
        """Do what a key of this screen is for."""
        handlers: dict[str, Callable[[], object]] = {
            "back": lambda: self.dismiss(None),
            "diff.swap": self.text.swap,
            "up": lambda: self.text.move(-1),
            "down": lambda: self.text.move(1),
            "page_up": lambda: self.text.page(-1),
            "page_down": lambda: self.text.page(1),
            "top": lambda: self.text.edge(-1),
            "bottom": lambda: self.text.edge(1),
        }
        handlers[key_id]()
        self.text.redraw()

"""The save dialog: which runtime changes are written, and what the file becomes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from nexus_core.errors import NexusError
from nexus_tui.screens.dialog import Dialog
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import fit
from nexus_tui.widgets.base.lines import Line, LineWidget, folded
from nexus_tui.widgets.base.rowlist import RowList

_MOST_ROWS = 12
_NO, _YES = "No, leave it as it is", "Save it"
Plan = Callable[[tuple[str, ...]], Awaitable[Sequence[Line]]]


class Changes(RowList):
    """The changes with a box each, and below them the two answers."""

    head_lines = 0
    raised = True

    def __init__(self, changes: Sequence[tuple[str, str]]) -> None:
        super().__init__(id="changes")
        self._changes = changes
        self._is_chosen = [True] * len(changes)
        self.cursor = len(changes)  # on No
        self.styles.height = min(len(changes) + 2, _MOST_ROWS)

    @property
    def chosen(self) -> tuple[str, ...]:
        """Ids of the changes whose box is marked."""
        pairs = zip(self._changes, self._is_chosen, strict=True)
        return tuple(name for (name, _), is_chosen in pairs if is_chosen)

    @property
    def answer(self) -> str | None:
        """The answer under the cursor; None on a change."""
        at = self.cursor - len(self._changes)
        return None if at < 0 else (_NO, _YES)[at]

    def turn(self) -> None:
        """Mark the change under the cursor, or clear its mark."""
        if self.answer is None:
            self._is_chosen[self.cursor] = not self._is_chosen[self.cursor]

    def turn_all(self) -> None:
        """Mark all; where all are marked, none."""
        self._is_chosen = [not all(self._is_chosen)] * len(self._is_chosen)

    def row_count(self) -> int:
        return len(self._changes) + 2

    def head(self, width: int) -> Sequence[Line]:
        return ()

    def row(self, index: int, width: int) -> Line:
        if index < len(self._changes):
            box = "[x]" if self._is_chosen[index] else "[ ]"
            return ((f" {box} ", "key"), (fit(escaped(self._changes[index][1]), width - 5), "text"))
        if index == len(self._changes):
            return ((" n   ", "key"), (_NO, "text"))
        count = len(self.chosen)
        note = f"  {count} of {len(self._changes)}" if count else "  nothing is marked"
        return ((" y   ", "key"), (_YES, "text"), (note, "dim"))


class Difference(LineWidget):
    """Difference of the file, as a diff."""

    raised = True

    def __init__(self, lines: Sequence[Line]) -> None:
        super().__init__(id="difference")
        self._whole = lines
        self.styles.height = "auto"

    def show(self, lines: Sequence[Line]) -> None:
        """Show another one."""
        self._whole = lines
        self.styles.height = len(self.lines(max(1, self.size.width), 0))
        self.redraw_all()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [part for line in self._whole for part in folded(line, width)]

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(self.lines(width, 0))


class SaveScreen(Dialog[tuple[str, ...]]):
    """The save dialog; gives the ids of the changes to be written."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("space", "turn", show=False),
        Binding("a", "turn_all", show=False),
        Binding("enter", "choose", show=False),
        Binding("n", "dismiss", show=False),
        Binding("y", "save", show=False),
    ]

    def __init__(
        self, changes: Sequence[tuple[str, str]], difference: Sequence[Line], plan: Plan
    ) -> None:
        """
        Args:
            changes: id and text of each.
            difference: of the file with all of them.
            plan: gives the difference with some of them.
        """
        title = "Save this to the config file?"
        super().__init__(((title, "title"), ("   space marks, a all", "dim")))
        self.changes = Changes(changes)
        self._difference = Difference(difference)
        self._plan = plan

    def compose_below(self) -> ComposeResult:
        yield self.changes
        with VerticalScroll(id="text", can_focus=False):
            yield self._difference

    def on_mount(self) -> None:
        self.changes.redraw()

    def action_move(self, rows: int) -> None:
        self.changes.move(rows)
        self.changes.redraw()

    def action_turn(self) -> None:
        """Mark the change under the cursor, or clear its mark."""
        self.changes.turn()
        self._renew()

    def action_turn_all(self) -> None:
        """Mark all changes, or none."""
        self.changes.turn_all()
        self._renew()

    def _renew(self) -> None:
        self.changes.redraw_all()
        self._show_plan()

    @work(exclusive=True)
    async def _show_plan(self) -> None:
        try:
            lines = await self._plan(self.changes.chosen)
        except NexusError as error:
            lines = [((escaped(error.message), "bad"),)]
        self._difference.show(lines)

    @on(RowList.Opened)
    def action_choose(self) -> None:
        """Take the answer under the cursor, or mark the change there."""
        match self.changes.answer:
            case None:
                self.action_turn()
            case "Save it":
                self.action_save()
            case _:
                self.dismiss(None)

    def action_save(self) -> None:
        """Write what is marked."""
        if self.changes.chosen:
            self.dismiss(self.changes.chosen)

"""Dialogs over a tab: a choice, a text entry, a notice. The default is No."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Input, TextArea

from nexus_tui.keymap.bindings import panic_keys
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import fit, wrap
from nexus_tui.widgets.base.ascii_bar import AsciiBar
from nexus_tui.widgets.base.lines import Line, LineWidget, app_of, draws_ascii, folded
from nexus_tui.widgets.base.rowlist import RowList

R = TypeVar("R")


class WrappedLines(LineWidget):
    """Static text, wrapped to the width."""

    raised = True

    def __init__(self, lines: Sequence[Line], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._whole = lines
        self._folded: dict[int, list[Line]] = {}  # for the last width
        self.styles.height = "auto"

    def lines(self, width: int, height: int) -> Sequence[Line]:
        if width not in self._folded:
            self._folded = {width: [part for line in self._whole for part in folded(line, width)]}
        return self._folded[width]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(self.lines(width, 0))


class Problem(LineWidget):
    """Problem of the entered text, in as many lines as it takes."""

    raised = True

    def __init__(self, text: str = "") -> None:
        super().__init__()
        self._text = text
        self.styles.height = "auto"

    def tell(self, text: str) -> None:
        """Say what is wrong now."""
        self._text = text
        self.refresh(layout=True)
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [((part, "bad"),) for part in wrap(escaped(self._text), max(1, width))]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, len(self.lines(width, 0)))


class Dialog(ModalScreen[R], Generic[R]):
    """A box in the middle; esc leaves it, `!` still cuts the open zone."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", show=False),
        Binding("pageup", "scroll(-8)", show=False),
        Binding("pagedown", "scroll(8)", show=False),
    ]

    def __init__(self, title: str | Line, text: Sequence[str | Line] = ()) -> None:
        super().__init__()
        self._title: Line = ((escaped(title), "title"),) if isinstance(title, str) else title
        self._text = text

    @on(RowList.Opened)
    def _keep_to_itself(self, event: RowList.Opened) -> None:
        event.stop()  # the tab behind it would open something, too

    def compose(self) -> ComposeResult:
        lines = [one if isinstance(one, tuple) else ((escaped(one), "text"),) for one in self._text]
        with Vertical(id="box"):
            yield WrappedLines([self._title, ()], id="dialog-title")
            if lines:
                with VerticalScroll(id="text", can_focus=False):
                    yield WrappedLines([*lines, ()])
            yield from self.compose_below()

    def on_mount(self) -> None:
        for name in panic_keys(app_of(self)):
            self._bindings.bind(name, "app.do('panic')", show=False)
        if draws_ascii(app_of(self)):
            for box in self.query("VerticalScroll, TextArea"):
                # As Textual's docstring of it shows, though it is declared for the class.
                box.vertical_scrollbar.renderer = AsciiBar  # type: ignore[misc]

    def compose_below(self) -> ComposeResult:
        """What comes under the text."""
        yield from ()

    def action_scroll(self, lines: int) -> None:
        """Scroll the text where it is longer than the box."""
        for box in self.query("#text"):
            box.scroll_relative(y=lines, animate=False)


# A choice -----------------------------------------------------------------------------------------


# Whoever moves the cursor with them must not choose anything by it.
MOVING_KEYS = frozenset({"j", "k", "g", "G", "up", "down", "home", "end", "pageup", "pagedown"})


@dataclass(frozen=True, slots=True)
class Option(Generic[R]):
    """An option of a choice."""

    value: R
    label: str
    key: str = ""  # chooses it at once
    note: str = ""
    why_not: str = ""  # it can't be chosen, and this is why

    def __post_init__(self) -> None:
        if self.key in MOVING_KEYS:
            raise ValueError(f"{self.key} moves the cursor, and can't choose {self.label!r}")


class Options(RowList, Generic[R]):
    """The options of a choice, as rows."""

    head_lines = 0
    raised = True

    def __init__(self, options: Sequence[Option[R]], cursor: int) -> None:
        super().__init__(id="options")
        self._options = options
        self.cursor = cursor
        self.styles.height = min(len(options), 18)

    def row_count(self) -> int:
        return len(self._options)

    def head(self, width: int) -> Sequence[Line]:
        return ()

    def row(self, index: int, width: int) -> Line:
        option = self._options[index]
        key = f" {option.key or ' ':<5} "
        if option.why_not:
            text = f"{escaped(option.label)}  {escaped(option.why_not)}"
            return ((key, "dim"), (fit(text, width - len(key)), "dim"))
        label = fit(escaped(option.label), min(len(option.label) + 2, width - len(key)))
        return ((key, "key"), (label, "text"), (escaped(option.note), "dim"))


class Choose(Dialog[R]):
    """Dialog with a choice of options; None when cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    def __init__(
        self,
        title: str,
        text: Sequence[str | Line],
        options: Sequence[Option[R]],
        *,
        cursor: int = 0,
    ) -> None:
        super().__init__(title, text)
        self._options = options
        possible = (index for index, option in enumerate(options) if not option.why_not)
        if options and options[cursor].why_not:  # enter takes the first that can be chosen
            cursor = next(possible, cursor)
        self.rows = Options(options, cursor)
        for index, option in enumerate(options):
            if option.key and option.key != "enter":
                self._bindings.bind(option.key, f"take({index})", show=False)

    def compose_below(self) -> ComposeResult:
        yield self.rows

    def on_mount(self) -> None:
        self.rows.redraw()

    def action_move(self, rows: int) -> None:
        self.rows.move(rows)
        self.rows.redraw()

    @on(RowList.Opened)
    def action_choose(self) -> None:
        self.action_take(self.rows.cursor)

    def action_take(self, index: int) -> None:
        """Choose an option by its place."""
        if index < len(self._options) and not self._options[index].why_not:
            self.dismiss(self._options[index].value)


def confirm(title: str, text: Sequence[str | Line], yes: str) -> Choose[bool]:
    """Confirmation dialog; the default is No."""
    options = [Option(False, "No, leave it as it is", "n"), Option(True, yes, "y")]
    return Choose(title, text, options)


def notice(title: str, text: Sequence[str | Line]) -> Choose[bool]:
    """Notice dialog."""
    return Choose(title, text, [Option(True, "Close", "enter")])


# A line -------------------------------------------------------------------------------------------


class AskLine(Dialog[str]):
    """Dialog with a text entry; a problem is shown below it and keeps the dialog open."""

    def __init__(
        self,
        title: str,
        text: Sequence[str | Line] = (),
        *,
        value: str = "",
        check: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        super().__init__(title, text)
        self._entry = Input(value=value, id="entry")
        self._entry.cursor_blink = False
        self._check = check
        self._problem = Problem()

    def compose_below(self) -> ComposeResult:
        yield self._entry
        yield self._problem

    def on_mount(self) -> None:
        self._entry.focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        problem = self._check(event.value.strip())
        if problem is None:
            self.dismiss(event.value.strip())
            return
        self._problem.tell(problem)


class ShowText(Dialog[None]):
    """Dialog with selectable text, for terminals without clipboard support."""

    def __init__(self, title: str, text: Sequence[str | Line], content: str) -> None:
        super().__init__(((escaped(title), "title"), ("   esc closes", "dim")), text)
        self._content = content

    def compose_below(self) -> ComposeResult:
        content = "\n".join(escaped(line) for line in self._content.split("\n"))
        yield TextArea(content, read_only=True, soft_wrap=True)

    def on_mount(self) -> None:
        self.query_one(TextArea).focus()

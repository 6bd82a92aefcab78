"""The explain screen: a form for a request, and below it the explained route."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingsMap, BindingType
from textual.containers import Container, Horizontal
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input

from nexus_core.errors import NexusError
from nexus_core.routing.explain import Explanation, as_json
from nexus_tui.keymap.bindings import as_bindings
from nexus_tui.keymap.keys import Key, Keymap
from nexus_tui.sources.base import EventSource
from nexus_tui.text.escape import escaped
from nexus_tui.text.export import dumped
from nexus_tui.text.requests.snippets import curl_for
from nexus_tui.view.explain_form import ExplainForm
from nexus_tui.widgets.base.lines import Line, LineWidget, rule
from nexus_tui.widgets.base.rowlist import RowList
from nexus_tui.widgets.chrome import Banner, HintBar
from nexus_tui.widgets.explain_result import ExplainResult

_AGAIN_SECONDS = 1.0  # the answer follows what changes meanwhile
_MAX_TOKENS = 10_000_000
_TOKENS_WIDTH = 19  # columns of that field with its label, as the style sheet has it
_PADDING = 2  # of the line, both sides

# Keys of the fields, for the hints; a click on one does the same.
_NEXT_FIELD = Key("pane.next", ("tab",), "next field", "Next field", ("explain",))
_TO_THE_RESULT = Key("field.result", ("enter",), "to the result", "To the result", ("explain",))
_NEXT_VALUE = Key("field.next", ("space",), "next value", "Next value", ("explain",))
_VALUE_BEFORE = Key("field.previous", ("←",), "the one before", "Value before", ("explain",))


class ChoiceField(LineWidget):
    """Choice field of the form: space or a click takes the next value."""

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,right", "turn(1)", show=False),
        Binding("left", "turn(-1)", show=False),
    ]

    class Turned(Message):
        """Another value was taken."""

    def __init__(self, label: str, values: Sequence[str], at: int = 0) -> None:
        super().__init__(id=f"field-{label}")
        self._label = label
        self._values = values
        self.at = at
        self.styles.width = self.full_width

    @property
    def full_width(self) -> int:
        """Columns for the longest value, and what is beside it."""
        return len(self._label) + max(map(len, self._values)) + 5

    @property
    def value(self) -> str:
        return self._values[self.at]

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [((f"{self._label} ", "dim"), (f"[{self.value}]", "key"))]

    def line_is_selected(self, y: int) -> bool:
        return self.has_focus

    def action_turn(self, steps: int) -> None:
        """Take the next value (1) or the one before it (-1)."""
        self.at = (self.at + steps) % len(self._values)
        self.redraw_all()
        self.post_message(self.Turned())

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.action_turn(1)

    def on_focus(self) -> None:
        self.redraw_all()

    def on_blur(self) -> None:
        self.redraw_all()


class Label(LineWidget):
    """Label of a field."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.styles.width = len(text) + 1

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [((self._text, "dim"),)]


class Title(LineWidget):
    """Title line of the explain screen."""

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [rule(width, "Explain", "route of a request, and why", "tab moves, space changes")]


class ExplainScreen(ModalScreen[ExplainForm]):
    """Asks anew whenever the form changes, and every second. Gives the form that is to be sent."""

    AUTO_FOCUS = ""

    def __init__(
        self,
        source: EventSource,
        keymap: Keymap,
        form: ExplainForm,
        copy: Callable[[str, str], None],
        alarms: Callable[[bool], list[str]],
    ) -> None:
        super().__init__()
        self._source = source
        self._copy = copy  # a title and a text
        self._form = form
        self._usable: tuple[str, ...] = ()
        self._explanation: Explanation | None = None
        self._bindings = BindingsMap(
            [
                *as_bindings(keymap.active("explain"), "local"),
                *as_bindings([keymap["panic"]], "app.do"),
            ]
        )
        self.result = ExplainResult()
        self._asked = form.model  # as it came; the field shows it safe to draw
        self._model = _input(escaped(form.model), "model")
        self._tokens = _input(str(form.tokens), "tokens")
        tiers = ["any", "0", "1", "2", "3", "4"]
        pins = ["any", *(one.name for one in source.backends())]
        self._zone = ChoiceField("zone", ["any", "restricted"], int(form.restricted))
        self._tier = ChoiceField("tier", tiers, 0 if form.min_tier is None else form.min_tier + 1)
        self._stream = ChoiceField("stream", ["no", "yes"], int(form.stream))
        self._tools = ChoiceField("tools", ["no", "yes"], int(form.tools))
        pin = form.pin or "any"
        self._pin = ChoiceField("backend", pins, pins.index(pin) if pin in pins else 0)
        self.banner = Banner(alarms)
        self._keymap = keymap
        self.hints = HintBar(self._hints)

    def compose(self) -> ComposeResult:
        yield self.banner
        yield Title()
        with Horizontal():
            yield Label("model")
            yield self._model
            yield self._zone
            yield self._tier
        with Container(id="shape"):
            with Horizontal():
                yield Label("tokens")
                yield self._tokens
                yield self._stream
                yield self._tools
            with Horizontal():
                yield self._pin
        yield self.result
        yield self.hints

    def on_resize(self, event: events.Resize) -> None:
        """Give the backend a line of its own where it would be cut off."""
        choices = (self._stream, self._tools, self._pin)
        wanted = _TOKENS_WIDTH + _PADDING + sum(choice.full_width for choice in choices)
        self.set_class(event.size.width < wanted, "-narrow")

    def on_mount(self) -> None:
        (self.result if self._form.model else self._model).focus()
        self.set_interval(_AGAIN_SECONDS, self._ask)
        self.banner.share_room()
        self._ask()

    def _hints(self) -> tuple[Key, ...]:
        """Keys of what has the focus."""
        focused, back = self.focused, self._keymap["back"]
        if isinstance(focused, Input):
            return (_NEXT_FIELD, _TO_THE_RESULT, back)
        if isinstance(focused, ChoiceField):
            return (_NEXT_VALUE, _VALUE_BEFORE, _NEXT_FIELD, back)
        source = self._source
        may_change = source.status == "live" and not source.is_read_only
        return self._keymap.hints("explain", may_change=may_change)

    def on_descendant_focus(self) -> None:
        self.hints.redraw()

    # --- asking --------------------------------------------------------------------------

    @on(Input.Changed)
    @on(ChoiceField.Turned)
    def _ask(self) -> None:
        tokens = self._tokens.value.replace(",", "").replace("_", "")
        self._form = replace(
            self._form,
            model=self._typed_model(),
            restricted=self._zone.at == 1,
            min_tier=self._tier.at - 1 if self._tier.at else None,
            tokens=min(int(tokens), _MAX_TOKENS) if tokens.isdecimal() else 0,
            stream=self._stream.at == 1,
            tools=self._tools.at == 1,
            pin=self._pin.value if self._pin.at else None,
        )
        self._answer()

    def _typed_model(self) -> str:
        typed = self._model.value
        return self._asked if typed == escaped(self._asked) else typed.strip()

    @work(exclusive=True)
    async def _answer(self) -> None:
        self._explanation, problem = None, ""
        if self._form.model:
            try:
                self._explanation = await self._source.explain(self._form.question(self._usable))
            except NexusError as error:
                problem = error.message
        self.result.replica = self._source.speaker
        self.result.show(self._explanation, self._usable, problem)

    # --- keys ----------------------------------------------------------------------------

    @on(RowList.Opened)
    def _keep_to_itself(self, event: RowList.Opened) -> None:
        event.stop()  # the tab behind it would open something, too

    @on(HintBar.Chosen)
    def _hint_clicked(self, message: HintBar.Chosen) -> None:
        message.stop()
        self.action_local(message.key_id)

    @on(Input.Submitted)
    def _to_the_result(self) -> None:
        self.result.focus()

    def action_local(self, key_id: str) -> None:
        """Do what a key of this screen is for."""
        handlers: dict[str, Callable[[], object]] = {
            _TO_THE_RESULT.id: self._to_the_result,
            _NEXT_VALUE.id: lambda: self._turn(1),
            _VALUE_BEFORE.id: lambda: self._turn(-1),
            "back": lambda: self.dismiss(None),
            "simulate": self._simulate,
            "explain.send": self._send,
            "explain.copy": self._copy_curl,
            "explain.json": self._copy_json,
            "pane.next": self.focus_next,
            "pane.previous": self.focus_previous,
            "up": lambda: self.result.move(-1),
            "down": lambda: self.result.move(1),
            "page_up": lambda: self.result.page(-1),
            "page_down": lambda: self.result.page(1),
            "top": lambda: self.result.edge(-1),
            "bottom": lambda: self.result.edge(1),
        }
        handlers[key_id]()
        self.result.redraw()

    def _turn(self, steps: int) -> None:
        if isinstance(self.focused, ChoiceField):
            self.focused.action_turn(steps)

    def _simulate(self) -> None:
        """Imagine the backend under the cursor usable; of one that is imagined so, no more."""
        name = self.result.backend
        if name is not None:
            self._usable = (*self._usable, name)
        elif self._usable:
            self._usable = self._usable[:-1]
        self._ask()

    def _send(self) -> None:
        if self._form.model:
            self.dismiss(self._form)

    def _copy_curl(self) -> None:
        form = self._form
        headers = form.request().headers
        text = curl_for(form.body, self._source.address, headers, form.place)
        self._copy("the request as curl", text)

    def _copy_json(self) -> None:
        if self._explanation is not None:
            self._copy("the explanation as JSON", dumped(as_json(self._explanation)))


def _input(value: str, name: str) -> Input:
    # Selected as a whole, the first letter would replace it.
    field = Input(value=value, id=name, select_on_focus=False)
    field.cursor_blink = False
    return field

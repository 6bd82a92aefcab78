"""Explain result: stages, dropped backends, scores, outcome and possible changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from nexus_core.routing.explain import Candidate, Explanation, ModelStages
from nexus_core.routing.stages import Stage
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING, dollars, fit, packed, wrap
from nexus_tui.widgets.base.lines import Cell, Line, rule
from nexus_tui.widgets.base.rowlist import RowList
from nexus_tui.widgets.panes import score_terms

_STAGE, _FLOW, _NAME = 10, 10, 18
_UNASKED = (
    Stage.PIN,
    Stage.TRIED,
    Stage.COORDINATION,
)  # worth a line only where they drop somebody


class Row(NamedTuple):
    """One line; `backend` can be imagined usable from it."""

    line: Line
    backend: str | None = None


class ExplainResult(RowList):
    """Explanation rows; space treats the selected backend as usable."""

    can_focus = True
    head_lines = 2

    def __init__(self) -> None:
        super().__init__(id="explain-result")
        self._explanation: Explanation | None = None
        self._problem = ""
        self.replica: str | None = None  # of a fleet: whose answer it is
        self._usable: Sequence[str] = ()
        self._rows: list[Row] = []

    @property
    def backend(self) -> str | None:
        """The backend of the row under the cursor."""
        return self._rows[self.cursor].backend if self.cursor < len(self._rows) else None

    def show(self, explanation: Explanation | None, usable: Sequence[str], problem: str) -> None:
        """Take in a new answer, or why there is none; the cursor stays on its backend."""
        backend = self.backend
        self._explanation, self._usable, self._problem = explanation, usable, problem
        self._rows = list(self._make(max(40, self.size.width)))
        places = [at for at, row in enumerate(self._rows) if row.backend == backend]
        if backend is not None and places:
            self.cursor = places[0]
        self.redraw()

    def row_count(self) -> int:
        return len(self._rows)

    def head(self, width: int) -> Sequence[Line]:
        title = f" {fit('stage', _STAGE)}  {fit('in → out', _FLOW)}  dropped"
        strategy = (
            f"strategy {self._explanation.strategy}" if self._explanation else "no answer yet"
        )
        whose = [] if self.replica is None else [f"as {escaped(self.replica)} sees it"]
        return [rule(width, "Route", strategy, *whose, "nothing is sent"), ((title, "head"),)]

    def empty(self, width: int) -> Sequence[Line]:
        return [(("  Enter a model.", "dim"),)]

    def row(self, index: int, width: int) -> Line:
        return self._rows[index].line

    def _make(self, width: int) -> Iterator[Row]:
        if self._problem:
            yield Row(((f"  {escaped(self._problem)}", "bad"),))
        explanation = self._explanation
        if explanation is None:
            return
        for model in explanation.models:
            yield from _stages(model, explanation, width)
        for candidate in explanation.candidates:
            yield from _candidate(candidate, explanation, width)
        yield from _outcome(explanation, width)
        if self._usable:
            names = ", ".join(map(escaped, self._usable))
            yield Row(((f" {fit('what if', _STAGE)}  ", "live"), (f"{names} usable", "live")))
        for change in explanation.would_change:
            yield from _wrapped("what if", escaped(change), width, "dim")


def _label(stage: str, flow: str = "") -> Cell:
    return f" {fit(stage, _STAGE)}  {fit(flow, _FLOW)}  ", "dim"


def _wrapped(label: str, text: str, width: int, style: str) -> Iterator[Row]:
    for index, part in enumerate(wrap(text, width - _STAGE - 5)):
        yield Row(((f" {fit('' if index else label, _STAGE)}  ", "dim"), (part, style)))


def _stages(model: ModelStages, explanation: Explanation, width: int) -> Iterator[Row]:
    if model.model != explanation.models[0].model:
        yield Row(((f" fallback  {escaped(model.model)}", "head"),))
    if len(model.resolved) > 1:
        yield from _wrapped("alias", " → ".join(map(escaped, model.path)), width, "text")
    if model.policies:
        yield from _wrapped("policy", ", ".join(map(escaped, model.policies)), width, "privacy")
    for stage in model.stages:
        name, flow = stage.stage.word, f"{stage.before} → {stage.after}"
        if not stage.dropped:
            if stage.before and stage.stage not in _UNASKED:
                yield Row((_label(name, flow),))
        elif stage.stage is Stage.MODEL:  # nothing can be imagined of these
            names = ", ".join(escaped(one.backend) for one in stage.dropped)
            text = f"{names}: {escaped(stage.dropped[0].why)}"
            for index, part in enumerate(wrap(text, width - _STAGE - _FLOW - 8)):
                yield Row((_label("" if index else name, "" if index else flow), (part, "text")))
        else:
            for index, dropped in enumerate(stage.dropped):
                text = f"{escaped(dropped.backend)}: {escaped(dropped.why)}"
                label = _label("" if index else name, "" if index else flow)
                yield Row((label, (text, "text")), dropped.backend)


def _candidate(one: Candidate, explanation: Explanation, width: int) -> Iterator[Row]:
    is_chosen = explanation.chosen is not None and one.position == 1
    score = "" if one.score is None else f"{one.score:3.0f} ="
    model = f" ({escaped(one.model)})" if one.model != explanation.models[0].model else ""
    name = f"{one.position} {escaped(one.backend)}{model}"
    glyph: Cell = ("✓ ", "good") if is_chosen else ("  ", "text")
    cell: Cell = (f"{fit(name, _NAME)} {score:5} ", "bright" if is_chosen else "text")
    parts = packed(score_terms(one.terms), width - _STAGE - _FLOW - _NAME - 14)
    yield Row((_label("score"), glyph, cell, (parts[0], "text")))
    for part in parts[1:]:
        yield Row((_label(""), (" " * (_NAME + 9), "text"), (part, "text")))


def _outcome(explanation: Explanation, width: int) -> Iterator[Row]:
    if explanation.note:
        yield from _wrapped("note", escaped(explanation.note), width, "warn")
    if explanation.refused is not None:
        refused = explanation.refused
        text = f"{refused.status} {refused.code}: {escaped(refused.message)}"
        yield from _wrapped("refused", text, width, "bad")
        if explanation.wait_seconds is not None:
            text = f"up to {explanation.wait_seconds:.0f} s in the queue, then refused"
            yield from _wrapped("waits", text, width, "warn")
    elif explanation.chosen is not None:
        chosen = explanation.chosen
        text = f"{escaped(chosen.backend)} with {escaped(chosen.model) or NOTHING}, {chosen.reason}"
        yield from _wrapped("goes to", f"{text}, zone {chosen.zone}", width, "good")
        if chosen.first_byte_timeout_seconds is not None:
            text = f"first byte of a stream within {chosen.first_byte_timeout_seconds:g} s"
            yield from _wrapped("limit", text, width, "text")
        if chosen.backend_type == "cloud":
            usd = chosen.estimated_usd
            text = "unpriced" if usd is None else f"about {dollars(Decimal(str(usd)))}"
            yield from _wrapped("cost", text, width, "text")

"""Request actions: open, mark, compare, replay, copy, export; body capture."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from functools import partial
from pathlib import Path

from nexus_core.background import in_background
from nexus_core.control.commands import CaptureBodies, ReplayRequest
from nexus_core.errors import NexusError
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.record import RequestRecord
from nexus_core.routing.explain import Chosen, Explanation
from nexus_tui.actions.clip import ClipActions
from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.keymap.keys import Keymap
from nexus_tui.screens.dialog import AskLine, Choose, Option, confirm
from nexus_tui.screens.diff import DiffScreen, Side
from nexus_tui.screens.explain import ExplainScreen
from nexus_tui.text import export as copying
from nexus_tui.text.answer import answer_text
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import dollars
from nexus_tui.view.explain_form import ExplainForm
from nexus_tui.widgets.panes import CAPTURE_IS_OFF

_SHORT = 8  # prompt tokens of a request that says hi
_FORMATS: dict[str, Callable[[Iterable[RequestRecord]], str]] = {
    "jsonl": copying.to_jsonl,
    "csv": copying.to_csv,
}


class RequestActions:
    """Actions on the selected request."""

    def __init__(
        self,
        context: AppContext,
        tabs: Tabs,
        keymap: Keymap,
        alarms: Callable[[bool], list[str]],
        clip: ClipActions,
    ) -> None:
        self._context = context
        self._dashboard = tabs.dashboard
        self._requests = tabs.requests
        self._keymap = keymap
        self._alarms = alarms  # for the screens that cover a tab
        self._clip = clip

    def handlers(self) -> Handlers:
        return {
            "previous": partial(self._step, -1),
            "next": partial(self._step, 1),
            "mark": self._mark,
            "diff": self._diff,
            "replay": self._replay,
            "copy": self._copy,
            "export": self._export,
            "capture": self._capture,
            "explain": self._explain,
        }

    def _selected(self) -> RequestRecord | None:
        is_dashboard = self._context.tab is self._dashboard
        return self._dashboard.list.selected if is_dashboard else self._requests.selected

    # --- the detail ----------------------------------------------------------------------

    async def open(self) -> None:
        """Show the request under the cursor in full."""
        row = self._selected()
        if row is None or self._requests.is_open:
            return
        await self.show(row)

    async def show(self, row: RequestRecord) -> None:
        """Show a request in full; leaving it leads back to the tab that is shown now."""
        self._requests.open(row, str(self._context.tab.id))
        self._context.show_tab("requests")
        await self._learn(row)

    async def _step(self, rows: int) -> None:
        self._requests.step(rows)
        self._context.paint_soon()
        row = self._requests.selected
        if row is not None:
            await self._learn(row)

    async def _learn(self, row: RequestRecord) -> None:
        """Load data of the detail that events lack: bodies, and the route it would take now."""
        kept = await self._context.source.captured(row.request_id)
        now = await self._explained(ExplainForm.of_request(row)) if row.refused is None else None
        self._requests.detail.know(row, kept, now)

    async def _explained(self, form: ExplainForm) -> Explanation | None:
        try:
            return await self._context.source.explain(form.question())
        except NexusError:
            return None  # the rest of the detail is worth showing without it

    async def _explain(self) -> None:
        row = self._selected() if self._context.tab in (self._dashboard, self._requests) else None
        form = _form_to_send(row) if row is not None and row.refused is None else ExplainForm()
        context = self._context
        while True:
            screen = ExplainScreen(context.source, self._keymap, form, self._clip.put, self._alarms)
            wanted = await context.ask(screen)
            if wanted is None or not context.may_command:
                return
            if await self._may_send(wanted):
                await context.command(wanted.request())
                return
            form = wanted

    async def _may_send(self, form: ExplainForm) -> bool:
        """Ask before a request goes to a cloud, by the real state, not the what-if one."""
        answer = await self._context.source.explain(replace(form, tokens=_SHORT).question())
        types = {one.name: one.type for one in self._context.source.backends()}
        clouds = [
            one.backend
            for one in answer.candidates
            if one.backend not in types or types[one.backend].is_cloud
        ]
        if not clouds:
            return True
        is_first = answer.chosen is not None and answer.chosen.backend == clouds[0]
        what = "A short request" if is_first else "If the backends before it fail, a short request"
        return await self._ask_for_cloud(clouds[0], what, answer.chosen if is_first else None)

    # --- compare -------------------------------------------------------------------------

    def _mark(self) -> None:
        row = self._selected()
        if row is not None:
            self._context.view.mark(row)

    async def _diff(self) -> None:
        marked = self._context.view.marked
        if len(marked) < 2:
            self._context.notice("mark two requests with m first")
            return
        sides: list[Side] = [
            (row, await self._context.source.captured(row.request_id)) for row in marked
        ]
        await self._context.ask(DiffScreen(self._keymap, sides[0], sides[1], self._alarms))

    # --- send again ----------------------------------------------------------------------

    async def _replay(self) -> None:
        context = self._context
        row = self._selected()
        if row is None or not context.may_command:
            return
        if await context.source.captured(row.request_id) is None:
            context.notice(f"can't be replayed. {CAPTURE_IS_OFF}")
            return
        backends = context.source.backends()
        options = [await self._target(row, backend) for backend in backends]
        text = ["The replay is pinned to the chosen backend; zone rules still apply."]
        name = await context.ask(Choose(f"Replay {row.request_id}", text, options))
        chosen = next((one for one in backends if one.name == name), None)
        if chosen is None or not await self._may_go_out(row, chosen):
            return
        outcome = await context.command(
            ReplayRequest(request_id=row.request_id, backend=chosen.name)
        )
        if outcome is not None:
            self._context.view.mark_with(row, str(outcome.data.get("request_id", "")))

    async def _target(self, row: RequestRecord, backend: BackendSnapshot) -> Option[str]:
        """The backend as an option, with the reason if it would refuse the request."""
        note = f"zone {backend.zone.value}, {backend.type.location}"
        option = Option(backend.name, backend.name, note=note)
        answer = await self._explained(replace(_form_to_send(row), pin=backend.name))
        if answer is None or answer.chosen is not None:
            return option
        stages = (stage for model in answer.models for stage in model.stages)
        drops = (drop for stage in stages for drop in stage.dropped)
        why = next((drop.why for drop in drops if drop.backend == backend.name), "not usable now")
        return replace(option, why_not=why)

    async def _may_go_out(self, row: RequestRecord, backend: BackendSnapshot) -> bool:
        if not backend.type.is_cloud:
            return True
        form = replace(_form_to_send(row), pin=backend.name)
        if row.usage:
            form = replace(form, tokens=row.usage.prompt_tokens)
        answer = await self._explained(form)
        what = f"The prompt of about {form.tokens:,} tokens"
        return await self._ask_for_cloud(backend.name, what, answer.chosen if answer else None)

    async def _ask_for_cloud(self, name: str, what: str, chosen: Chosen | None) -> bool:
        usd = chosen.estimated_usd if chosen else None
        price = "" if usd is None else f": about {dollars(Decimal(str(usd)))}"
        if chosen and usd is None:
            price = "; price unknown"
        text = f"{what} is sent to a cloud provider and billed{price}."
        question = confirm(f"Send it to {escaped(name)}?", [text], "Send it")
        return await self._context.ask(question) or False

    async def _capture(self) -> None:
        context = self._context
        if context.may_command:
            await context.command(CaptureBodies(enabled=not context.source.is_capturing))

    # --- take along ----------------------------------------------------------------------

    async def _copy(self) -> None:
        row = self._selected()
        if row is None:
            return
        options = [
            Option("curl", "the request as curl", "c"),
            Option("id", "its id", "i"),
            Option("headers", "request and response headers", "h"),
            Option("answer", "the answer, as far as captured", "a"),
            Option("JSON", "all details as JSON", "d"),
        ]
        what = await self._context.ask(Choose("Copy", [], options))
        if what is None:
            return
        has_body = what in ("curl", "answer")
        kept = await self._context.source.captured(row.request_id) if has_body else None
        if what == "answer" and kept is None:
            self._context.notice(f"no answer to copy. {CAPTURE_IS_OFF}")
            return
        texts: dict[str, Callable[[], str]] = {
            "curl": lambda: copying.as_curl(
                row, self._context.source.address, kept.body if kept else None
            ),
            "id": lambda: row.request_id,
            "headers": lambda: copying.as_headers(row),
            "answer": lambda: answer_text(kept.answer) if kept else "",
            "JSON": lambda: copying.as_json(row),
        }
        may_keep = kept is None or not kept.is_restricted
        self._clip.put(what, texts[what](), may_keep=may_keep)

    async def _export(self) -> None:
        rows = list(reversed(self._context.view.view))
        options = [Option("jsonl", "JSON lines", "l"), Option("csv", "CSV", "c")]
        text = [f"{len(rows):,} requests as listed, without bodies and headers."]
        kind = await self._context.ask(Choose("Export", text, options))
        if kind is None:
            return
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self._context.source.now()))
        name = await self._context.ask(
            AskLine("Export to", ["Existing files are not overwritten."],
                    value=f"nexus-requests-{stamp}.{kind}", check=_wrong_path)
        )  # fmt: skip
        if name is None:
            return
        try:
            path = await in_background(lambda: _write_new(name, _FORMATS[kind](rows)))
        except (OSError, RuntimeError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            self._context.notice(escaped(f"{name}: {why}"))
        else:
            self._context.notice(escaped(f"exported {len(rows):,} requests to {path}"))


def _form_to_send(row: RequestRecord) -> ExplainForm:
    """The explain form of a replay: the request without its client, whose budget does not apply."""
    return replace(ExplainForm.of_request(row), client=None)


def _wrong_path(text: str) -> str | None:
    if not text:
        return "a file name"
    try:
        return "file exists" if Path(text).expanduser().exists() else None
    except (OSError, RuntimeError, ValueError) as error:  # too long; no such user; a NUL
        return f"invalid file name: {getattr(error, 'strerror', None) or error}"


def _write_new(name: str, text: str) -> Path:
    path = Path(name).expanduser().absolute()
    with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
    return path

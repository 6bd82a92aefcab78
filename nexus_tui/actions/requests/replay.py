"""Replay actions: mark, compare, replay to another backend, edit before that; body capture."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

from nexus_core.control.commands import CaptureBodies, ReplayRequest, SendRequest
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.record import RequestRecord
from nexus_core.types import PrivacyZone
from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.actions.requests.sending import Sending, form_to_send
from nexus_tui.draw.foreground import NoProgramError, Terminal, edit, editor
from nexus_tui.keymap.keys import Keymap
from nexus_tui.screens.dialog import Choose, Option
from nexus_tui.screens.diff import DiffScreen, Side
from nexus_tui.screens.edit import EditText
from nexus_tui.text.escape import escaped
from nexus_tui.text.requests.edit import EditFaultError, NoObjectError, as_document, from_document
from nexus_tui.view.explain_form import ExplainForm
from nexus_tui.widgets.panes import CAPTURE_IS_OFF

_EDIT = ""  # the option to edit the request; no backend has this name
_PINNED = "The replay is pinned to the chosen backend; zone rules still apply."
_STRICT = "Edited. Whatever bound the original binds it as well."
_LONGEST = 256 * 1024  # characters that are edited inside the dashboard
_BEGINS_SECONDS, _LOOK_SECONDS = 2.0, 0.05  # until a replay that was accepted is listed


class ReplayActions:
    """Actions that send a request again, and compare what came of it."""

    def __init__(
        self,
        context: AppContext,
        selected: Callable[[], RequestRecord | None],
        keymap: Keymap,
        alarms: Callable[[bool], list[str]],
    ) -> None:
        self._context = context
        self._selected = selected
        self._keymap = keymap
        self._alarms = alarms  # for the screens that cover a tab
        self._sending = Sending(context)
        self._last = ""  # the backend that was chosen last

    def handlers(self) -> Handlers:
        return {
            "mark": self._mark,
            "diff": self._diff,
            "replay": self._replay,
            "capture": self._capture,
        }

    # --- compare -------------------------------------------------------------------------

    def _mark(self) -> None:
        row = self._selected()
        if row is not None:
            self._context.view.mark(row)

    async def _diff(self) -> None:
        rows = await self._to_compare()
        if rows is None:
            self._context.notice("mark two requests with m first, or replay one with r")
            return
        sides = await self._sides(rows)

        async def again() -> tuple[Side, Side]:
            return await self._sides(rows)

        await self._context.ask(DiffScreen(self._keymap, *sides, self._alarms, again=again))

    async def _to_compare(self) -> tuple[RequestRecord, RequestRecord] | None:
        """The marked two, else the replay under the cursor and its original."""
        view = self._context.view
        for _ in range(round(_BEGINS_SECONDS / _LOOK_SECONDS)):
            if not view.awaits_mark:
                break
            await asyncio.sleep(_LOOK_SECONDS)
        if len(view.marked) == 2:
            return view.marked[0], view.marked[1]
        row = self._selected()
        original = view.row(row.replay_of) if row is not None and row.replay_of else None
        return None if row is None or original is None else (original, row)

    async def _sides(self, rows: tuple[RequestRecord, RequestRecord]) -> tuple[Side, Side]:
        left, right = rows
        captured = self._context.source.captured
        return (
            (left, await captured(left.request_id)),
            (right, await captured(right.request_id)),
        )

    # --- send again ----------------------------------------------------------------------

    async def _replay(self) -> None:
        context = self._context
        row = self._selected()
        if row is None or not context.may_command:
            return
        kept = await context.source.captured(row.request_id)
        if kept is None:
            context.notice(f"can't be replayed. {CAPTURE_IS_OFF}")
            return
        edited: SendRequest | None = None
        while True:
            form = _stricter(form_to_send(row), edited)
            name = await self._ask_where(row, form, is_edited=edited is not None)
            if name is None:
                return
            if name == _EDIT:
                edited = await self._edited(row, kept, edited) or edited
                continue
            backend = next((one for one in context.source.backends() if one.name == name), None)
            if backend is not None and await self._may_go_out(row, form, backend):
                await self._send(row, backend.name, edited)
            return

    async def _send(self, row: RequestRecord, backend: str, edited: SendRequest | None) -> None:
        self._last = backend
        command = ReplayRequest(request_id=row.request_id, backend=backend, edited=edited)
        outcome = await self._context.command(command)
        if outcome is None:
            return
        self._context.view.mark_with(row, str(outcome.data.get("request_id", "")))
        compare = self._keymap["diff"].shown
        self._context.notice(escaped(f"{outcome.message}; {compare} compares them"))

    async def _ask_where(
        self, row: RequestRecord, form: ExplainForm, *, is_edited: bool
    ) -> str | None:
        backends = self._context.source.backends()
        options = [await self._target(form, backend) for backend in backends]
        options.sort(key=lambda option: option.value != self._last)
        options.append(Option(_EDIT, "edit the request first", "e"))
        text = [_STRICT if is_edited else _PINNED]
        return await self._context.ask(Choose(f"Replay {row.request_id}", text, options))

    async def _target(self, form: ExplainForm, backend: BackendSnapshot) -> Option[str]:
        """The backend as an option, with the reason if it would refuse the request."""
        note = f"zone {backend.zone.value}, {backend.type.location}"
        option = Option(backend.name, backend.name, note=note)
        answer = await self._sending.explained(replace(form, pin=backend.name))
        if answer is None or answer.chosen is not None:
            return option
        stages = (stage for model in answer.models for stage in model.stages)
        drops = (drop for stage in stages for drop in stage.dropped)
        why = next((drop.why for drop in drops if drop.backend == backend.name), "not usable now")
        return replace(option, why_not=why)

    async def _may_go_out(
        self, row: RequestRecord, form: ExplainForm, backend: BackendSnapshot
    ) -> bool:
        if not backend.type.is_cloud:
            return True
        form = replace(form, pin=backend.name)
        if row.usage and not form.tokens:
            form = replace(form, tokens=row.usage.prompt_tokens)
        answer = await self._sending.explained(form)
        what = f"The prompt of about {form.tokens:,} tokens"
        chosen = answer.chosen if answer else None
        return await self._sending.ask_for_cloud(backend.name, what, chosen)

    async def _capture(self) -> None:
        context = self._context
        if context.may_command:
            await context.command(CaptureBodies(enabled=not context.source.is_capturing))

    # --- edit ----------------------------------------------------------------------------

    async def _edited(
        self, row: RequestRecord, kept: CapturedExchange, before: SendRequest | None
    ) -> SendRequest | None:
        """The request as it was edited; None where it was left as it is."""
        headers = row.request_headers if before is None else before.headers
        body = kept.body if before is None else before.body
        try:
            text = as_document(headers, body)
        except NoObjectError:
            self._context.notice("can't be edited: its body is not JSON")
            return None
        problem = None
        # A restricted body must never be in a file, nor one that was made restricted here.
        is_restricted = kept.is_restricted or (
            before is not None and before.zone is PrivacyZone.RESTRICTED
        )
        if not is_restricted and (command := editor(os.environ)) is not None:
            changed, problem = await self._by_editor(command, text)
            if problem is None:
                if changed is None or changed == text:
                    return None
                problem = _fault(changed, kept.endpoint)
                if problem is None:
                    return from_document(changed, kept.endpoint)
            text = text if changed is None else changed
        if len(text) > _LONGEST:
            self._context.notice("too long to be edited here; set EDITOR")
            return None
        changed = await self._context.ask(
            EditText(
                f"Edit {row.request_id}",
                text,
                lambda typed: _fault(typed, kept.endpoint),
                problem,
            )
        )
        return None if changed is None else from_document(changed, kept.endpoint)

    async def _by_editor(self, command: list[str], text: str) -> tuple[str | None, str | None]:
        """What the user's editor left, and why there is nothing."""

        async def use(terminal: Terminal) -> str | None:
            return await edit(terminal, command, text, ".json")

        try:
            return await self._context.on_terminal(use), None
        except NoProgramError as error:
            return None, str(error)


def _fault(text: str, endpoint: str) -> str | None:
    try:
        from_document(text, endpoint)
    except EditFaultError as error:
        return str(error)
    return None


def _stricter(form: ExplainForm, edited: SendRequest | None) -> ExplainForm:
    """The form of what was edited; as strict as the original, as the core holds it."""
    if edited is None:
        return form
    tiers = [tier for tier in (form.min_tier, edited.min_tier) if tier is not None]
    asked = ExplainForm.of_body(edited.body, form.endpoint)
    return replace(
        form,
        model=asked.model or form.model,  # it may stand in the path
        tokens=asked.tokens,
        tools=asked.tools,
        stream=asked.stream,
        restricted=form.restricted or edited.zone is PrivacyZone.RESTRICTED,
        min_tier=max(tiers, default=None),
        flexible=form.flexible and edited.flexible,
    )

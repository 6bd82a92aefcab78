"""Export actions: copy a request in many forms, write the list or a request to a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from nexus_core.background import in_background
from nexus_core.errors import NexusError
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.record import RequestRecord
from nexus_tui.actions.clip import ClipActions
from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.actions.new_file import write_new, wrong_path
from nexus_tui.screens.dialog import AskLine, Choose, Option
from nexus_tui.screens.requests import RequestsTab
from nexus_tui.text import export as copying
from nexus_tui.text.answer import answer_text
from nexus_tui.text.escape import escaped
from nexus_tui.text.requests.har import Exchange, to_har
from nexus_tui.text.requests.snippets import as_curl, as_httpie, as_python
from nexus_tui.widgets.panes import CAPTURE_IS_OFF

_COPIED = (
    Option("curl", "the request as curl", "c"),
    Option("HTTPie", "as HTTPie", "t"),
    Option("Python", "as Python, for httpx", "p"),
    Option("HAR", "request and answer as HAR", "r"),
    Option("id", "its id", "i"),
    Option("headers", "request and response headers", "h"),
    Option("request", "the request's body, as captured", "b"),
    Option("answer", "the answer, as far as captured", "a"),
    Option("JSON", "all details as JSON", "d"),
)
_OF_BODY = ("curl", "HTTPie", "Python", "HAR", "request", "answer")
_ONLY_BODY = ("request", "answer")
_WITH_BODIES = 200  # of a list: as many as are captured at most
_RESTRICTED = "restricted, so never in a file"
_NOT_CAPTURED = "not captured"

_LISTS: dict[str, Callable[[Iterable[RequestRecord]], str]] = {
    "jsonl": copying.to_jsonl,
    "csv": copying.to_csv,
}


class ExportActions:
    """Actions that take a request, or the list, out of the dashboard."""

    def __init__(
        self,
        context: AppContext,
        selected: Callable[[], RequestRecord | None],
        requests: RequestsTab,
        clip: ClipActions,
    ) -> None:
        self._context = context
        self._selected = selected
        self._requests = requests
        self._clip = clip

    def handlers(self) -> Handlers:
        return {"copy": self._copy, "export": self._export}

    # --- copy ----------------------------------------------------------------------------

    async def _copy(self) -> None:
        row = self._selected()
        if row is None:
            return
        what = await self._context.ask(Choose("Copy", [], _COPIED))
        if what is None:
            return
        source = self._context.source
        kept = await source.captured(row.request_id) if what in _OF_BODY else None
        if what in _ONLY_BODY and kept is None:
            self._context.notice(f"no {what} to copy. {CAPTURE_IS_OFF}")
            return
        body = kept.body if kept else None
        texts: dict[str, Callable[[], str]] = {
            "curl": lambda: as_curl(row, source.address, body),
            "HTTPie": lambda: as_httpie(row, source.address, body),
            "Python": lambda: as_python(row, source.address, body),
            "HAR": lambda: to_har([(row, kept)], source.address),
            "id": lambda: row.request_id,
            "headers": lambda: copying.as_headers(row),
            "request": lambda: kept.body.decode(errors="replace") if kept else "",
            "answer": lambda: answer_text(kept.answer) if kept else "",
            "JSON": lambda: copying.as_json(row),
        }
        may_keep = kept is None or not kept.is_restricted
        self._clip.put(what, texts[what](), may_keep=may_keep)

    # --- export --------------------------------------------------------------------------

    async def _export(self) -> None:
        rows = list(reversed(self._context.view.view))
        text = [f"{len(rows):,} requests as listed. Keys are masked, and only HAR has bodies,"
                " of what was captured and is not restricted."]  # fmt: skip
        options = [
            Option("har", "HAR", "h"),
            Option("jsonl", "JSON lines", "l"),
            Option("csv", "CSV", "c"),
        ]
        row = self._requests.detail.request if self._requests.is_open else None
        kept = None
        if row is not None and self._context.tab is self._requests:
            kept = await self._context.source.captured(row.request_id)
            options = [*_of_one(kept), *options[1:]]
            text = [f"Request {row.request_id}, or the {len(rows):,} requests of the list."]
        kind = await self._context.ask(Choose("Export", text, options))
        if kind is None:
            return
        if kind in _LISTS:
            await self._write("requests", kind, len(rows), lambda: _LISTS[kind](rows))
        elif row is None:
            exchanges = await self._with_bodies(rows)
            address = self._context.source.address
            await self._write("requests", kind, len(rows), lambda: to_har(exchanges, address))
        else:
            await self._write(row.request_id, kind, 1, self._one(kind, row, kept))

    def _one(
        self, kind: str, row: RequestRecord, kept: CapturedExchange | None
    ) -> Callable[[], str]:
        address = self._context.source.address
        if kind == "txt":
            return lambda: answer_text(kept.answer) if kept else ""
        if kind == "json":
            return lambda: copying.as_json(row) + "\n"
        return lambda: to_har([(row, _for_file(kept))], address)

    async def _with_bodies(self, rows: Sequence[RequestRecord]) -> list[Exchange]:
        """The newest with their bodies, where they are captured and may be in a file."""
        exchanges: list[Exchange] = [(row, None) for row in rows]
        try:
            for index, row in enumerate(rows[:_WITH_BODIES]):
                kept = await self._context.source.captured(row.request_id)
                exchanges[index] = (row, _for_file(kept))
        except NexusError as error:
            self._context.notice(f"without bodies: {escaped(error.message)}")
        return exchanges

    async def _write(self, what: str, kind: str, count: int, make: Callable[[], str]) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self._context.source.now()))
        suggested = f"nexus-{_in_a_name(what)}-{stamp}.{kind}"
        name = await self._context.ask(
            AskLine("Export to", ["Existing files are not overwritten."],
                    value=suggested, check=wrong_path)
        )  # fmt: skip
        if name is None:
            return
        try:
            path = await in_background(lambda: write_new(name, make()))
        except (OSError, RuntimeError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            self._context.notice(escaped(f"{name}: {why}"))
        else:
            told = "1 request" if count == 1 else f"{count:,} requests"
            self._context.notice(escaped(f"exported {told} to {path}"))


def _of_one(kept: CapturedExchange | None) -> list[Option[str]]:
    why = _NOT_CAPTURED if kept is None else _RESTRICTED if kept.is_restricted else ""
    bodies = f"without bodies: {why}" if why else "with bodies"
    return [
        Option("har", "this request as HAR", "h", note=bodies),
        Option("json", "its details as JSON", "d"),
        Option("txt", "its answer as text", "a", why_not=why),
    ]


def _for_file(kept: CapturedExchange | None) -> CapturedExchange | None:
    """What may be in a file: a restricted body never."""
    return None if kept is None or kept.is_restricted else kept


def _in_a_name(text: str) -> str:
    return "".join(char if char.isalnum() or char in "-_" else "-" for char in text)[:64]

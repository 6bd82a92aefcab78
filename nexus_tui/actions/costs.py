"""Cost actions: choose the period, copy the table, export it."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Sequence

from nexus_core.background import in_background
from nexus_core.money.report import CostRow
from nexus_tui.actions.clip import ClipActions
from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.actions.new_file import write_new, wrong_path
from nexus_tui.screens.costs import CostsTab
from nexus_tui.screens.dialog import AskLine, Choose, Option
from nexus_tui.text.escape import escaped
from nexus_tui.text.export import harmless

_COLUMNS = (
    "requests",
    "prompt_tokens",
    "completion_tokens",
    "cost_usd",
    "estimated_usd",
    "unpriced",
    "saved_usd",
)


class CostActions:
    """Actions on the table of the Costs tab."""

    def __init__(self, context: AppContext, tab: CostsTab, clip: ClipActions) -> None:
        self._context = context
        self._table = tab.table
        self._clip = clip

    def handlers(self) -> Handlers:
        return {
            "period": self._table.turn_span,
            "copy_costs": self._copy,
            "export_costs": self._export,
        }

    def _copy(self) -> None:
        rows = self._table.shown
        if not rows:
            self._context.notice("no cost line to copy")
            return
        self._clip.put(f"{len(rows):,} cost lines as CSV", self._as_csv(rows))

    async def _export(self) -> None:
        rows = self._table.shown
        if not rows:
            self._context.notice("no cost line to export")
            return
        text = [f"{len(rows):,} lines as listed: {self._what}."]
        options = [Option("csv", "CSV", "c"), Option("json", "JSON", "s")]
        kind = await self._context.ask(Choose("Export costs", text, options))
        if kind is None:
            return
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self._context.source.now()))
        name = await self._context.ask(
            AskLine(
                "Export to",
                ["Existing files are not overwritten."],
                value=f"nexus-costs-{stamp}.{kind}",
                check=wrong_path,
            )
        )
        if name is None:
            return
        make: Callable[[Sequence[CostRow]], str] = self._as_csv if kind == "csv" else self._as_json
        try:
            path = await in_background(lambda: write_new(name, make(rows)))
        except (OSError, RuntimeError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            self._context.notice(escaped(f"{name}: {why}"))
        else:
            self._context.notice(escaped(f"exported {len(rows):,} cost lines to {path}"))

    @property
    def _what(self) -> str:
        choice = self._table.choice
        return f"{choice.span.value}, by {choice.by.value}"

    # --- as text -------------------------------------------------------------------------
    # By the keys of `nexus costs`, and as there: "" or null where nothing has an amount.

    def _as_csv(self, rows: Sequence[CostRow]) -> str:
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((self._table.choice.by.value, *_COLUMNS))
        writer.writerows(
            [harmless(value) for value in (row.name or "", *_values(row))] for row in rows
        )
        return file.getvalue()

    def _as_json(self, rows: Sequence[CostRow]) -> str:
        choice = self._table.choice
        period = str(choice.span.period(self._context.source.now()))
        lines = [
            {choice.by.value: row.name, **dict(zip(_COLUMNS, _values(row), strict=True))}
            for row in rows
        ]
        told = {"period": period, "by": choice.by.value, "lines": lines}
        return json.dumps(told, indent=2) + "\n"


def _values(row: CostRow) -> list[int | str | None]:
    """By `_COLUMNS`; amounts as text: a JSON number would lose digits."""
    amounts = [
        None if usd is None else f"{usd:.9f}" for usd in (row.actual, row.estimated, row.saved)
    ]
    counts = (row.requests, row.prompt_tokens, row.completion_tokens)
    return [*counts, *amounts[:2], row.unpriced, amounts[2]]

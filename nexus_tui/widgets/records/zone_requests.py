"""Zone requests: the newest requests of the zone under the cursor, those that run first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from nexus_core.observe.record import RequestRecord
from nexus_core.types import PrivacyZone
from nexus_tui.text.numbers import count
from nexus_tui.view.model import ViewModel
from nexus_tui.widgets.base.columns import heading
from nexus_tui.widgets.base.lines import Line, LineWidget, rule
from nexus_tui.widgets.cells.requests import LEAD, RequestColumns, request_line

_NAMES = ("time", "key", "model", "backend", "reason", "status", "tokens", "cost", "agent")
SHOWN = 12
_LOOKED_AT = 1000  # of the newest requests, whatever their zone


class ZoneRequests(LineWidget):
    """What a cut ends, and what left the house, or stayed: running requests, then the others."""

    def __init__(self, view: ViewModel, selected: Callable[[], PrivacyZone]) -> None:
        super().__init__(id="zone-requests")
        self._view = view
        self._selected = selected
        self._columns = RequestColumns(_NAMES)

    @property
    def needed(self) -> int:
        """Lines for those that there are, and a blank one below."""
        return 3 + max(1, len(self._shown(self._selected())))

    def lines(self, width: int, height: int) -> Sequence[Line]:
        zone = self._selected()
        rows = self._shown(zone)
        running = sum(row.is_live for row in rows)
        title = rule(
            width, f"Requests of the {zone} zone", "newest first", *self._of_running(zone, running)
        )
        if not rows:
            return [title, (("  None has come yet.", "dim"),)]
        columns = self._columns.layout(width)
        head = ((heading(columns, lead=LEAD), "head"),)
        return [title, head, *(request_line(row, columns) for row in rows[: max(1, height - 3)])]

    def _shown(self, zone: PrivacyZone) -> list[RequestRecord]:
        newest = islice(reversed(self._view.rows), _LOOKED_AT)
        of_zone = [row for row in newest if row.zone is zone]
        return sorted(of_zone, key=lambda row: not row.is_live)[:SHOWN]

    def _of_running(self, zone: PrivacyZone, running: int) -> list[str]:
        if not running:
            return []
        may_be_cut = zone is PrivacyZone.OPEN and zone not in self._view.zones.cuts
        return [f"{count(running)} running" + ", which a cut ends" * may_be_cut]

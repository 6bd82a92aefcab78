"""Zone backends: the backends of the zone under the cursor, as on the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nexus_core.types import PrivacyZone
from nexus_tui.view.frame import Frames
from nexus_tui.widgets.base.columns import heading, layout
from nexus_tui.widgets.base.lines import Line, LineWidget, rule
from nexus_tui.widgets.cells.backends import PANEL, BackendRows, unusable_row

_COLUMNS = tuple(column for column in PANEL if column.id != "zone")


class ZoneBackends(LineWidget):
    """Rows of the backends that a switch of the zone concerns."""

    def __init__(self, frames: Frames, selected: Callable[[], PrivacyZone]) -> None:
        super().__init__(id="zone-backends")
        self._frames = frames
        self._selected = selected
        self._rows = BackendRows()

    @property
    def needed(self) -> int:
        """Lines for all of them, and a blank one below."""
        frame, zone = self._frames.current, self._selected()
        return 3 + max(1, len(frame.of_zone(zone)) + len(frame.unusable_of_zone(zone)))

    def lines(self, width: int, height: int) -> Sequence[Line]:
        frame, zone = self._frames.current, self._selected()
        backends, unusable = frame.of_zone(zone), frame.unusable_of_zone(zone)
        total = len(backends) + len(unusable)
        usable = sum(backend.is_usable for backend in backends)
        title = rule(
            width,
            f"Backends of the {zone} zone",
            f"{usable} of {total} usable",
            frame.window.shown,
        )
        if not total:
            return [title, (("  None is configured for it.", "dim"),)]
        columns = layout(_COLUMNS, width)
        room = height - 2
        fitting = total if total <= room else max(0, room - 1)
        rows = self._rows.draw(backends[:fitting], frame, columns)
        rows += [unusable_row(one, columns) for one in unusable[: fitting - len(rows)]]
        if hidden := total - fitting:
            rows.append((("   … ", "dim"), (f"{hidden} more, see ", "dim"), ("3", "key")))
        return [title, ((heading(columns), "head"),), *rows]

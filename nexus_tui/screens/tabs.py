"""The three tabs: which widgets each holds, and how they share the room."""

from __future__ import annotations

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical

from nexus_tui.source import EventSource
from nexus_tui.viewmodel import BACKENDS, KPI, LIST, ViewModel
from nexus_tui.widgets.backend_list import BackendFacts, BackendPanel, BackendTable
from nexus_tui.widgets.detail import RequestDetail
from nexus_tui.widgets.kpis import Kpis
from nexus_tui.widgets.lines import Line, LineWidget
from nexus_tui.widgets.request_list import RequestList
from nexus_tui.widgets.rowlist import RowList
from nexus_tui.widgets.welcome import Welcome

_WIDE = 100  # columns from which the dashboard has its full form
_TALL = 28
_NARROW = 66  # columns and lines under which only numbers and the list are left
_LOW = 17


class Tab(Vertical):
    """One tab; says which of its widgets belong to a group, and which list the keys move."""

    def widgets_of(self, group: str) -> list[LineWidget]:
        """What to repaint when the group has changed."""
        raise NotImplementedError

    @property
    def mover(self) -> RowList | RequestDetail:
        """What the cursor keys move."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Repaint all that changed."""
        for group in (KPI, BACKENDS, LIST):
            for widget in self.widgets_of(group):
                widget.redraw()


class EnlargeHint(LineWidget):
    """The last line of a small dashboard."""

    def lines(self, width: int, height: int) -> list[Line]:
        return [((" enlarge to 80x24 for the rest", "dim"),)]


class DashboardTab(Tab):
    """Numbers, backends, and the list of requests."""

    def __init__(self, source: EventSource, view: ViewModel, now: Callable[[], float]) -> None:
        super().__init__(id="dashboard")
        self._source = source
        self.kpis = Kpis(source, view, now)
        self.panel = BackendPanel(source, view)
        self.live = RequestList(view, "Live", id="live")
        self.enlarge = EnlargeHint(id="enlarge")
        self.welcome = Welcome(source)

    def compose(self) -> ComposeResult:
        yield self.welcome
        yield self.kpis
        yield self.panel
        yield self.live
        yield self.enlarge

    def widgets_of(self, group: str) -> list[LineWidget]:
        groups: dict[str, list[LineWidget]] = {
            KPI: [self.kpis, self.welcome, self.enlarge],
            BACKENDS: [self.panel],
            LIST: [self.live],
        }
        return groups[group]

    @property
    def mover(self) -> RowList:
        return self.live

    def on_resize(self, event: events.Resize) -> None:
        self.share_room(event.size.width, event.size.height)

    def share_room(self, width: int, height: int) -> None:
        """Give each part its lines for a tab of this size."""
        backends = len(self._source.backends())
        is_small = width < _NARROW or height < _LOW - 3
        is_wide = width >= _WIDE and height >= _TALL - 3
        self.welcome.display = backends == 0
        self.panel.display = backends > 0 and not is_small
        self.enlarge.display = backends > 0 and is_small
        self.kpis.display = self.live.display = backends > 0
        self.kpis.styles.height = 5 if is_wide else 1
        if is_wide:
            rows = backends + len(self._source.config.unusable)
            self.panel.styles.height = 2 + min(rows, max(4, height // 3))
        else:
            self.panel.styles.height = 1 + min(-(-backends // 2), 4)


class RequestsTab(Tab):
    """The list at full height, or one request in full."""

    def __init__(self, view: ViewModel) -> None:
        super().__init__(id="requests")
        self.list = RequestList(view, "Requests", id="request-list")
        self.detail = RequestDetail(lambda: self.list.selected)

    def compose(self) -> ComposeResult:
        yield self.list
        yield self.detail

    def on_mount(self) -> None:
        self.detail.display = False

    def widgets_of(self, group: str) -> list[LineWidget]:
        return [self.list, self.detail] if group == LIST else []

    @property
    def mover(self) -> RowList | RequestDetail:
        return self.detail if self.detail.display else self.list

    def open(self, seq: int) -> None:
        """Show one request in full; the list keeps its place."""
        self.list.select(seq)
        # The list finds its row only when it is drawn, and it is about to be hidden.
        self.list.locate()
        self.list.display = False
        self.detail.display = True
        self.detail.start()

    def close(self) -> None:
        """Back to the list."""
        self.detail.display = False
        self.list.display = True
        self.list.redraw()

    def step(self, rows: int) -> None:
        """The next older (1) or newer (-1) request."""
        self.list.move(rows)
        self.list.following = False
        self.detail.start()


class BackendsTab(Tab):
    """Every backend, and the facts of the one under the cursor."""

    def __init__(self, source: EventSource, view: ViewModel) -> None:
        super().__init__(id="backends")
        self.table = BackendTable(source, view)
        self.facts = BackendFacts(source, self.table)

    def compose(self) -> ComposeResult:
        yield self.table
        yield self.facts

    def on_resize(self, event: events.Resize) -> None:
        self.facts.display = event.size.height >= _LOW

    def widgets_of(self, group: str) -> list[LineWidget]:
        return [self.table, self.facts] if group == BACKENDS else []

    @property
    def mover(self) -> RowList:
        return self.table

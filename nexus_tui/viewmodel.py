"""What the dashboard shows, as plain values: request rows, the rate, the filter, what changed."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Sequence
from operator import attrgetter

from nexus_core.events import (
    AttemptFailed,
    BackendAdded,
    BackendHealthChanged,
    BackendProbed,
    BackendRemoved,
    BackendToggled,
    BudgetStatusChanged,
    ConfigReloaded,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
    ZoneToggled,
)
from nexus_tui.filter import Filter, parse_filter
from nexus_tui.rows import RequestRow

CAPACITY = 10_000  # rows kept
BUCKETS = 60  # seconds of the rate

KPI = "kpi"
BACKENDS = "backends"
LIST = "list"
GROUPS = (KPI, BACKENDS, LIST)  # painted in turn

_by_seq = attrgetter("seq")


class RateSeries:
    """Requests per second over the last minute; constant in memory."""

    def __init__(self) -> None:
        self._counts = [0] * BUCKETS
        self._second = 0  # the newest bucket

    def add(self, at: float) -> None:
        """Count one request; one from before the window is left out."""
        second = int(at)
        self._advance(second)
        if second > self._second - BUCKETS:
            self._counts[second % BUCKETS] += 1

    def values(self, now: float) -> list[int]:
        """The last full seconds, oldest first; the running second is not among them."""
        self._advance(int(now))
        return [self._counts[(self._second + i) % BUCKETS] for i in range(1, BUCKETS)]

    def per_second(self, now: float, window: int = 5) -> float:
        """The mean over the last full seconds."""
        return sum(self.values(now)[-window:]) / window

    def _advance(self, second: int) -> None:
        for passed in range(max(self._second + 1, second - BUCKETS + 1), second + 1):
            self._counts[passed % BUCKETS] = 0
        self._second = max(self._second, second)


class ViewModel:
    """Fold events into rows. Totals are not counted here: they come from the core's Stats."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.rate = RateSeries()
        self.filter = Filter()
        self.errors_only = False
        self.pending: dict[str, bool] = {}  # switches asked for and not confirmed yet
        self._ring: deque[RequestRow] = deque()
        self._capacity = capacity
        self._rows: dict[str, RequestRow] = {}
        self._next_seq = 0
        self._matches: list[RequestRow] | None = None  # None: everything is shown
        self._frozen: list[RequestRow] | None = None  # the ring as it was when paused
        self._frozen_at = 0
        self._dirty = set(GROUPS)

    # --- what happened -------------------------------------------------------------------

    def apply(self, events: Iterable[NexusEvent]) -> None:
        """Take in a batch, oldest first. Events of a request that is unknown change nothing."""
        for event in events:
            match event:
                case RequestReceived():
                    self.rate.add(event.at)
                    self._append(RequestRow(self._next_seq, event.request_id, event.at, event))
                case RequestRefused():
                    self._append(
                        RequestRow(self._next_seq, event.request_id, event.at, refused=event)
                    )
                case RouteDecided() | AttemptFailed() | FirstByteReceived() | RequestFinished():
                    self._update(event)
                case BackendToggled():
                    self.pending.pop(event.backend, None)
                case BackendHealthChanged() | BackendProbed() | ZoneToggled():
                    pass  # drawn from the registry's snapshot
                case BackendAdded() | ConfigReloaded() | BudgetStatusChanged():
                    pass  # the same
                case BackendRemoved():
                    self.pending.pop(event.backend, None)
            self._dirty.update(_GROUPS_OF.get(type(event), GROUPS))

    def take_dirty(self) -> set[str]:
        """The groups that changed since the last call."""
        dirty, self._dirty = self._dirty, set()
        return dirty

    def mark_dirty(self, *groups: str) -> None:
        """Draw these groups in the next round."""
        self._dirty.update(groups)

    # --- what is shown -------------------------------------------------------------------

    @property
    def view(self) -> Sequence[RequestRow]:
        """The rows to show, oldest first, after pause and filter."""
        if self._matches is not None:
            return self._matches
        return self._ring if self._frozen is None else self._frozen

    def position(self, seq: int) -> int:
        """Where a row stands in the view, or where it would; 0 is the oldest."""
        return bisect_left(self.view, seq, key=_by_seq)

    @property
    def kept(self) -> int:
        """How many rows there are in all."""
        return len(self._ring)

    @property
    def newest_seq(self) -> int:
        """The sequence number of the newest row; -1 when there is none."""
        return self._next_seq - 1

    # --- pause and filter ----------------------------------------------------------------

    @property
    def paused(self) -> bool:
        return self._frozen is not None

    @property
    def new_while_paused(self) -> int:
        """How many rows came since the list was frozen."""
        return self._next_seq - self._frozen_at if self.paused else 0

    def pause(self) -> None:
        """Freeze the list: the same rows stay, whatever the ring drops. Counters go on."""
        if not self.paused:
            self._frozen = list(self._ring)
            self._frozen_at = self._next_seq
        self._changed_view()

    def resume(self) -> None:
        """Show what came meanwhile."""
        self._frozen = None
        self._changed_view()

    def set_filter(self, text: str) -> None:
        """Show only what matches; the empty text shows everything."""
        self.filter = parse_filter(text)
        self._changed_view()

    def set_errors_only(self, only: bool) -> None:
        """Show only requests that failed, on top of the filter."""
        self.errors_only = only
        self._changed_view()

    def _changed_view(self) -> None:
        self._matches = None
        if self.filter.tests or self.errors_only:
            rows = self._ring if self._frozen is None else self._frozen
            self._matches = [row for row in rows if self._shows(row)]
        self._dirty.update((KPI, LIST))

    def _shows(self, row: RequestRow) -> bool:
        return (row.failed or not self.errors_only) and self.filter.matches(row)

    # --- rows ----------------------------------------------------------------------------

    def _append(self, row: RequestRow) -> None:
        self._next_seq += 1
        self._ring.append(row)
        self._rows[row.request_id] = row
        if len(self._ring) > self._capacity:
            self._drop(self._ring.popleft())
        self._index(row)

    def _drop(self, row: RequestRow) -> None:
        if self._rows.get(row.request_id) is row:
            del self._rows[row.request_id]
        if self._matches and not self.paused and self._matches[0] is row:
            del self._matches[0]

    def _update(
        self, event: RouteDecided | AttemptFailed | FirstByteReceived | RequestFinished
    ) -> None:
        row = self._rows.get(event.request_id)
        if row is not None:
            row.add(event)
            self._index(row)

    def _index(self, row: RequestRow) -> None:
        """Keep the filter's result right for one row that is new or has changed."""
        if self._matches is None or (self.paused and row.seq >= self._frozen_at):
            return
        at = bisect_left(self._matches, row.seq, key=_by_seq)
        is_in = at < len(self._matches) and self._matches[at] is row
        if self._shows(row) == is_in:
            return
        if is_in:
            del self._matches[at]
        else:
            insort(self._matches, row, key=_by_seq)


_GROUPS_OF: dict[type[object], tuple[str, ...]] = {
    RequestReceived: (KPI, LIST),
    RequestRefused: (KPI, LIST),
    FirstByteReceived: (KPI, LIST),
    BackendHealthChanged: (KPI, BACKENDS),
    BackendProbed: (BACKENDS,),
    BackendToggled: (KPI, BACKENDS),
    ZoneToggled: (KPI, BACKENDS),
    BackendAdded: (KPI, BACKENDS),
    BackendRemoved: (KPI, BACKENDS),
}

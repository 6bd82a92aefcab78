"""View model: request rows, rates, filters and pending changes as plain values."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Sequence
from itertools import islice
from operator import attrgetter
from typing import TypeAlias, assert_never

from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    BackendAdded,
    BackendChanged,
    BackendHealthChanged,
    BackendProbed,
    BackendRemoved,
    BackendToggled,
    BudgetStatusChanged,
    CaptureToggled,
    ConfigReloaded,
    CooldownBegan,
    CooldownEnded,
    FirstByteReceived,
    NexusEvent,
    OperatorActed,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
    ZoneToggled,
)
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import SCREEN_CAPACITY, RecentRequests
from nexus_core.observe.windows.window import Window
from nexus_tui.view.filter.language import Names
from nexus_tui.view.filter.requests import RequestFilter, parse_filter
from nexus_tui.view.order import Sorting, request_ways
from nexus_tui.view.rates import RateSeries
from nexus_tui.view.sessions.book import SessionBook
from nexus_tui.view.zones import ZoneWatch

KPI = "kpi"
BACKENDS = "backends"
LIST = "list"
SLOTS = ((KPI, BACKENDS), (LIST,))  # painted in turn: each takes about as long
GROUPS = tuple(group for slot in SLOTS for group in slot)

_by_seq = attrgetter("seq")
_by_time = attrgetter("at")

Troubles: TypeAlias = defaultdict[str, deque[tuple[float, Attempt]]]


_MARKS = 2  # requests that can be compared
_TROUBLES = 5  # failures kept of each backend


class ViewModel:
    """Which of the source's requests are shown, and in what order; it keeps references to them.

    Totals are not counted here: they come from the core's Stats.
    """

    def __init__(
        self,
        requests: RecentRequests,
        capacity: int = SCREEN_CAPACITY,
        *,
        now: Callable[[], float] = time.time,
        is_fleet: bool = False,
        replicas: Callable[[], int] = lambda: 1,
    ) -> None:
        """
        Args:
            is_fleet: the requests are those of the replicas of a fleet.
            replicas: gives how many there are now.
        """
        self._replicas = replicas
        self.requests = requests  # changed by the source; `take` hears of which
        self.known_names: Names | None = None  # for the filter, which tells of others
        self.rate = RateSeries()
        self.zones = ZoneWatch()
        self.all_sessions = SessionBook()  # of all requests since the last `clear`
        self._narrowed: SessionBook | None = None  # of those that are shown; None: not made
        self.window = Window.FIVE_MINUTES  # that numbers are shown for
        # The newest failures of each backend, with their time, oldest first.
        self.troubles: Troubles = defaultdict(lambda: deque(maxlen=_TROUBLES))
        self.marked: list[RequestRecord] = []  # at most two, for the diff
        self._to_mark: tuple[RequestRecord, str] | None = None  # with the id of one yet to come
        self.sorting = Sorting(request_ways(is_fleet=is_fleet), usual="time")
        self.filter = RequestFilter()
        self._now = now  # seconds since the epoch, by the clock that requests are stamped with
        self._looked_at = now()  # when the filter's ages were measured; a pause stops it
        self.errors_only = False
        self.pending: dict[str, bool] = {}  # switches asked for and not confirmed yet
        self._ring: deque[RequestRecord] = deque()
        self._capacity = capacity
        self.newest_seq = -1  # of the newest row; -1 when there is none
        self._matches: list[RequestRecord] | None = None  # None: everything is shown
        self._frozen: list[RequestRecord] | None = None  # the ring as it was when paused
        self._frozen_at = 0
        self._sorted: list[RequestRecord] | None = None  # the view in another order; None: not made
        self._places: dict[int, int] = {}  # in that order, by sequence number
        self._dirty: set[str] = set(GROUPS)

    # --- what happened -------------------------------------------------------------------

    def take(self, changed: Sequence[RequestRecord]) -> None:
        """Take in requests that came or changed, in order of arrival; each once when it is over."""
        if not changed:
            return
        if not self.paused:
            self._sorted = self._narrowed = None
        newest = self.newest_seq
        new = changed[bisect_right(changed, newest, key=_by_seq) :]
        if self._matches is not None and self._ring:
            oldest = self._ring[0].seq
            for row in changed:
                if oldest <= row.seq <= newest:
                    self._index(row)
        if new:
            self._append(new)
        ended = [row for row in changed if row.ended_at is not None]
        if self.zones.cuts:
            for row in ended:
                self.zones.count(row)
        self.all_sessions.ended(ended)
        self._dirty.update(GROUPS)

    def apply(self, events: Collection[NexusEvent]) -> None:
        """Take in events, oldest first; `take` is told of requests."""
        for event in events:
            match event:
                case AttemptFailed():
                    self.troubles[event.attempt.backend].append((event.at, event.attempt))
                case ZoneToggled():
                    self.zones.toggle(event)
                case BackendToggled() | BackendRemoved():
                    self.pending.pop(event.backend, None)
                case BackendHealthChanged() | BackendProbed() | BackendChanged() | BackendAdded():
                    pass  # drawn from the registry's snapshot
                case CooldownBegan() | CooldownEnded():
                    pass  # the same
                case ConfigReloaded() | BudgetStatusChanged() | CaptureToggled() | OperatorActed():
                    pass  # drawn as it is
                case RequestReceived() | RouteDecided() | FirstByteReceived():
                    pass  # `take`
                case RequestFinished() | RequestRefused():
                    pass  # the same
                case _:
                    assert_never(event)
        for kind in set(map(type, events)):
            self._dirty.update(_GROUPS_OF.get(kind, GROUPS))

    def take_dirty(self) -> set[str]:
        """The groups that changed since the last call."""
        dirty, self._dirty = self._dirty, set()
        return dirty

    def mark_dirty(self, *groups: str) -> None:
        """Draw these groups in the next round."""
        self._dirty.update(groups)

    # --- what is shown -------------------------------------------------------------------

    @property
    def names_replicas(self) -> bool:
        """Whether there are several, so that each request is shown with its own."""
        return self._replicas() > 1

    @property
    def view(self) -> Sequence[RequestRecord]:
        """The rows to show, after pause and filter: the last one is the top of the screen.

        That is the newest, or the largest in the order that was asked for.
        """
        if self.sorting.is_usual:
            return self.in_time
        if self._sorted is None:
            self._sorted = self.sorting.top_last(self.in_time)
            self._places = {row.seq: place for place, row in enumerate(self._sorted)}
        return self._sorted

    @property
    def in_time(self) -> Sequence[RequestRecord]:
        """The same rows in order of arrival."""
        if self._matches is not None:
            return self._matches
        return self._ring if self._frozen is None else self._frozen

    @property
    def sessions(self) -> SessionBook:
        """The sessions of the requests that pause and filter leave; without these, of all."""
        if self._matches is None and self._frozen is None:
            return self.all_sessions
        if self._narrowed is None:
            self._narrowed = SessionBook.of(self.in_time)
        return self._narrowed

    def position(self, seq: int) -> int:
        """Where a row stands in the view, or where it would; the last place is the top."""
        view = self.view
        if view is self.in_time:
            return bisect_left(view, seq, key=_by_seq)
        return self._places.get(seq, len(view) - 1)

    def sort_by(self, column: str) -> None:
        """Sort by one of the ways of `sorting`; chosen again, the other way round."""
        self.sorting.choose(column)
        self._changed_order()

    def reverse(self) -> None:
        """Turn the order around."""
        self.sorting.reverse()
        self._changed_order()

    def sort_by_time(self) -> bool:
        """The newest on top again; False if that holds already."""
        was_sorted = self.sorting.reset()
        if was_sorted:
            self._changed_order()
        return was_sorted

    def _changed_order(self) -> None:
        self._sorted = None
        self._dirty.update((KPI, LIST))

    def mark(self, row: RequestRecord) -> None:
        """Mark a row, or take its mark away; of three the oldest mark goes."""
        if row in self.marked:
            self.marked.remove(row)
        else:
            self.marked = [*self.marked, row][-_MARKS:]
        self._dirty.add(LIST)

    @property
    def awaits_mark(self) -> bool:
        """Whether a request is to be marked that has not come yet."""
        return self._to_mark is not None

    def mark_with(self, row: RequestRecord, request_id: str) -> None:
        """Mark a row and another request, as soon as that has come."""
        other = self.row(request_id)
        if other is None:
            self._to_mark = (row, request_id)
        else:
            self.marked, self._to_mark = [row, other], None
            self._dirty.add(LIST)

    def follow(self, requests: RecentRequests) -> None:
        """Show those of another run, from none on."""
        self.requests, self.newest_seq = requests, -1
        self.clear()

    def clear(self) -> None:
        """Show nothing of what has come until now, nor what becomes of it."""
        self._ring.clear()
        self.all_sessions.clear()
        self.marked.clear()
        self._to_mark = None
        self._frozen = None
        self._changed_view()

    def row(self, request_id: str) -> RequestRecord | None:
        """One request; None when it has not come or is no longer kept."""
        return self.requests.get(request_id)

    @property
    def rows(self) -> Sequence[RequestRecord]:
        """All rows there are, whatever is shown, oldest first."""
        return self._ring

    @property
    def kept(self) -> int:
        """How many rows there are in all."""
        return len(self._ring)

    # --- pause and filter ----------------------------------------------------------------

    @property
    def paused(self) -> bool:
        return self._frozen is not None

    @property
    def new_while_paused(self) -> int:
        """How many rows came since the list was frozen."""
        return self.newest_seq - self._frozen_at if self.paused else 0

    def pause(self) -> None:
        """Freeze the list: the same rows stay, whatever the ring drops. Counters go on."""
        if not self.paused:
            self._looked_at = self._now()
            self._frozen = list(self._ring)
            self._frozen_at = self.newest_seq
        self._changed_view()

    def resume(self) -> None:
        """Show what came meanwhile."""
        self._frozen = None
        self._changed_view()

    def set_filter(self, text: str) -> None:
        """Show only what matches; the empty text shows everything."""
        if not self.paused:
            self._looked_at = self._now()
        self.filter = parse_filter(text, self.known_names, lambda: self._looked_at)
        self._changed_view()

    def age(self) -> None:
        """Look again at the rows that time alone takes into the filter, or out of it."""
        if not self.filter.ages or self.paused:
            return
        before, self._looked_at = self._looked_at, self._now()
        if self._looked_at < before:  # the clock was set back
            self._changed_view()
            return
        for age in self.filter.ages:
            first = bisect_left(self._ring, before - age, key=_by_time)
            for row in islice(self._ring, first, None):
                if row.at >= self._looked_at - age:
                    break
                self._index(row)

    def set_errors_only(self, only: bool) -> None:
        """Show only requests that failed, on top of the filter."""
        self.errors_only = only
        self._changed_view()

    def _changed_view(self) -> None:
        self._matches = self._sorted = self._narrowed = None
        if not self.paused:
            self._looked_at = self._now()
        if self.filter.tests or self.errors_only:
            rows = self._ring if self._frozen is None else self._frozen
            self._matches = [row for row in rows if self._shows(row)]
        self._dirty.update((KPI, LIST))

    def _shows(self, row: RequestRecord) -> bool:
        return (row.has_error or not self.errors_only) and self.filter.matches(row)

    # --- rows ----------------------------------------------------------------------------

    def _append(self, new: Sequence[RequestRecord]) -> None:
        self.newest_seq = new[-1].seq
        self._ring.extend(new)
        self.all_sessions.came(new)
        self.rate.add_all([row.at for row in new if row.refused is None])
        if self._to_mark is not None:
            marked, other = self._to_mark
            if any(row.request_id == other for row in new):
                self.mark_with(marked, other)
        if self._matches is not None:
            for row in new:
                self._index(row)
        self._drop(len(self._ring) - self._capacity)

    def _drop(self, number: int) -> None:
        """Let go of the oldest rows."""
        for _ in range(number):
            row = self._ring.popleft()
            if self._matches and not self.paused and self._matches[0] is row:
                del self._matches[0]

    def _index(self, row: RequestRecord) -> None:
        """Keep the filter's result right for one row that is new or has changed."""
        if self._matches is None or (self.paused and row.seq > self._frozen_at):
            return
        at = bisect_left(self._matches, row.seq, key=_by_seq)
        is_in = at < len(self._matches) and self._matches[at] is row
        if self._shows(row) == is_in:
            return
        self._sorted = self._narrowed = None
        self._dirty.update((KPI, LIST))
        if is_in:
            del self._matches[at]
        else:
            insort(self._matches, row, key=_by_seq)


_GROUPS_OF: dict[type[object], tuple[str, ...]] = {
    BackendHealthChanged: (KPI, BACKENDS),
    BackendProbed: (BACKENDS,),
    CooldownBegan: (KPI, BACKENDS),
    CooldownEnded: (KPI, BACKENDS),
    BackendToggled: (KPI, BACKENDS),
    BackendChanged: (BACKENDS,),
    ZoneToggled: (KPI, BACKENDS),
    BackendAdded: (KPI, BACKENDS),
    BackendRemoved: (KPI, BACKENDS),
    CaptureToggled: (KPI,),
}

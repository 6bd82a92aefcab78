"""Phases that are taken in together come to the same as phases taken in one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace
from typing import TypeAlias
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from nexus_core.errors import ModelNotFoundError
from nexus_core.observe.bus import EventBus
from nexus_core.observe.event_log import EventLog
from nexus_core.observe.events import NexusEvent, TokenUsage
from nexus_core.observe.phases import event_of
from nexus_core.observe.requests import RecentRequests
from nexus_core.observe.stats import Stats
from nexus_core.observe.stats_json import stats_as_json
from nexus_core.proxy import progress as progress_module
from nexus_core.proxy.charge import ReportedUsage
from nexus_core.proxy.exchange import Failure
from nexus_core.proxy.progress import RequestProgress
from nexus_core.proxy.reply import SelectedRoute
from nexus_core.types import RouteReason
from tests.made_up_backends import decide, no_ledger, snapshot
from tests.proxy.fakes import AtOnce
from tests.proxy.test_progress import request

# A request: the backends that fail it, and how it ends.
Course: TypeAlias = tuple[list[str], str]
COURSES: st.SearchStrategy[Course] = st.tuples(
    st.lists(st.sampled_from("abc"), max_size=3),
    st.sampled_from(["answered", "left", "broke", "fell back", "refused", "crashed"]),
)
READ = -1  # instead of the number of a request that goes on
ORDER = st.lists(st.sampled_from([READ, 0, 1, 2, 3, 4]), max_size=40)


def steps(progress: RequestProgress, course: Course) -> Iterator[None]:
    """The request goes on with each step."""
    failing, end = course
    progress.received()
    yield
    for number, name in enumerate(failing, 1):
        _route(progress, name, number)
        yield
        failure = Failure(f"{name} answered 503", ValueError, 503)  # type: ignore[arg-type]
        progress.attempt_failed(name, failure, 0.25 * number)
        yield
    if end == "fell back" and failing:
        progress.fell_back_to(_selected(failing[0]))
        progress.began(failing[0], 503, b"")
    elif end == "refused":
        progress.erred(ModelNotFoundError("nobody has it"))
    elif end == "crashed":
        progress.crashed()
    else:
        _route(progress, "d", len(failing) + 1)
        yield
        progress.began("d", 200, b"x: y")
        yield
        progress.open_charge(snapshot("d"), "llama3:70b")
        usage = TokenUsage(prompt_tokens=3, completion_tokens=4)
        progress.relayed(ReportedUsage(usage=usage, is_whole=end == "answered"))
        if end == "left":
            progress.left()
        elif end == "broke":
            progress.broke("it broke off")
    progress.finished()
    yield


def _selected(name: str) -> SelectedRoute:
    return SelectedRoute(snapshot(name), "llama3:70b", RouteReason.BACKEND_FAILOVER)


def _route(progress: RequestProgress, name: str, attempt: int) -> None:
    selected = _selected(name)
    progress.routed(selected, decide(progress.request.need, selected.backend), attempt)


Seen: TypeAlias = tuple[object, list[str], list[tuple[int, NexusEvent]], list[NexusEvent]]


async def play(
    make: Callable[..., EventBus], courses: list[Course], order: list[int]
) -> Iterator[Seen]:
    """What readers see at each read, and at the end; all of it on a clock of its own."""
    stats, recent, log = Stats(), RecentRequests(3), EventLog(12)
    bus = make(stats, recent, log=log)
    subscription = bus.subscribe()
    ticks = count(1)
    seen: list[Seen] = []

    def read() -> None:
        bus.settle()
        events = [(number, event_of(one)) for number, one in log.after(0)]
        seen.append((stats_as_json(stats), recent.ids, events, subscription.drain()))

    ongoing: dict[int, Iterator[None]] = {}
    tick = SimpleNamespace(monotonic=lambda: float(next(ticks)))
    with mock.patch.object(progress_module, "time", tick):
        for number, course in enumerate(courses):
            asked = request()
            envelope = structs.replace(asked.envelope, id=f"r{number}")
            asked = structs.replace(asked, envelope=envelope, received=0.0)
            one = RequestProgress(asked, bus, no_ledger(), lambda: float(next(ticks)))
            ongoing[number] = steps(one, course)
        for number in order:
            if number == READ:
                read()
            elif number in ongoing:
                next(ongoing[number], None)
        read()
        for left in ongoing.values():
            for _ in left:
                pass
        read()
    return iter(seen)


@given(st.lists(COURSES, max_size=5), ORDER)
def test_nobody_sees_whether_phases_are_taken_in_together(
    courses: list[Course], order: list[int]
) -> None:
    together = list(asyncio.run(play(EventBus, courses, order)))
    one_by_one = list(asyncio.run(play(AtOnce, courses, order)))

    assert len(together) == order.count(READ) + 2
    assert together == one_by_one

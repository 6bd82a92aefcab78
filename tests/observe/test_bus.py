import asyncio
from collections.abc import Sequence

import pytest

from nexus_core.observe.bus import _MOST_REACHED, EventBus
from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    BackendToggled,
    NexusEvent,
    RequestReceived,
)
from nexus_core.observe.phases import Happened, Phase, Reached
from nexus_core.observe.record import RequestRecord
from tests.waiting import pass_time, settled


class Seen:
    """A fold that hears of events and of the beginning of requests."""

    def __init__(self) -> None:
        self.events: list[NexusEvent] = []
        self.received: list[RequestRecord] = []
        self.at_once: list[int] = []  # how many phases came together

    def take_in(self, reached: Sequence[Reached]) -> None:
        self.at_once.append(len(reached))
        self.received += [one.record for one in reached if one.phase is Phase.RECEIVED]

    def apply(self, event: NexusEvent) -> None:
        self.events.append(event)


def toggled(number: int) -> BackendToggled:
    return BackendToggled(at=number, backend="a", enabled=True)


def ats(events: list[NexusEvent]) -> list[float]:
    return [event.at for event in events]


def test_each_subscriber_gets_every_event_in_order() -> None:
    bus = EventBus()
    first, second = bus.subscribe(), bus.subscribe()

    for number in range(3):
        bus.publish(toggled(number))

    assert ats(first.drain()) == [0, 1, 2]
    assert ats(second.drain()) == [0, 1, 2]
    assert first.drain() == []


def test_a_full_subscriber_loses_the_oldest_and_counts_them_and_nobody_waits() -> None:
    bus = EventBus()
    slow, other = bus.subscribe(capacity=2), bus.subscribe()

    for number in range(5):
        bus.publish(toggled(number))

    assert slow.dropped == 3
    assert ats(slow.drain()) == [3, 4]
    assert len(other.drain()) == 5


def test_a_fold_misses_nothing_while_subscribers_do() -> None:
    fold = Seen()
    bus = EventBus(fold)
    bus.subscribe(capacity=1)

    for number in range(5):
        bus.publish(toggled(number))
        bus.reach(Phase.RECEIVED, RequestRecord(f"r{number}", number))

    assert len(fold.events) == 5
    assert [record.request_id for record in fold.received] == ["r0", "r1", "r2", "r3", "r4"]


def test_a_closed_subscription_receives_nothing_and_closes_twice() -> None:
    bus = EventBus()
    subscription = bus.subscribe()

    subscription.close()
    subscription.close()
    bus.publish(toggled(1))

    assert subscription.drain() == []


async def test_waiting_ends_with_the_next_event() -> None:
    bus = EventBus()
    subscription = bus.subscribe()

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiter = tasks.create_task(subscription.wait())
        await settled()
        assert not waiter.done()
        bus.publish(toggled(1))

    assert ats(subscription.drain()) == [1]


def test_a_phase_is_an_event_for_a_subscriber_who_reads_it() -> None:
    bus = EventBus()
    subscription = bus.subscribe()

    bus.reach(Phase.RECEIVED, RequestRecord("r", 7.0, "/v1/chat/completions", "m"))
    bus.publish(toggled(8))

    received, other = subscription.drain()
    assert isinstance(received, RequestReceived)
    assert (received.at, received.request_id, received.model) == (7.0, "r", "m")
    assert other == toggled(8)


async def test_who_reads_records_is_woken_by_requests_and_told_of_failed_attempts_only() -> None:
    bus = EventBus()
    subscription = bus.subscribe(wants_requests=False)
    record = RequestRecord("r", 7.0, "/v1/chat/completions", "m")
    attempt = Attempt(backend="a", error="answered 503", status=503, elapsed_ms=1)
    record.failures = (AttemptFailed(at=8.0, request_id="r", attempt=attempt),)

    bus.reach(Phase.RECEIVED, record)
    async with asyncio.timeout(5):
        await subscription.wait()
    bus.reach(Phase.FAILED, record)
    bus.publish(toggled(9))

    assert subscription.drain() == [*record.failures, toggled(9)]


def record(number: int = 0) -> RequestRecord:
    return RequestRecord(f"r{number}", 7.0, "/v1/chat/completions", "m")


async def test_phases_are_taken_in_together_and_soon() -> None:
    fold = Seen()
    bus = EventBus(fold)

    for number in range(3):
        bus.reach(Phase.RECEIVED, record(number))
    await settled()
    before = list(fold.at_once)
    pass_time(1)
    await settled()
    bus.reach(Phase.RECEIVED, record(3))
    pass_time(1)
    await settled()

    assert before == []
    assert fold.at_once == [3, 1]
    assert [one.request_id for one in fold.received] == ["r0", "r1", "r2", "r3"]


async def test_many_phases_are_taken_in_at_the_end_of_a_request() -> None:
    fold = Seen()
    bus = EventBus(fold)

    for number in range(_MOST_REACHED + 5):
        bus.reach(Phase.RECEIVED, record(number))
    before = list(fold.at_once)
    bus.reach(Phase.FINISHED, record())
    bus.reach(Phase.FINISHED, record())

    assert before == []
    assert fold.at_once == [_MOST_REACHED + 6]


async def test_what_was_reached_before_another_event_is_told_before_it() -> None:
    fold = Seen()
    bus = EventBus(fold)
    subscription = bus.subscribe()

    bus.reach(Phase.RECEIVED, record())
    bus.publish(toggled(8))

    assert fold.at_once == [1]
    assert [type(event) for event in subscription.drain()] == [RequestReceived, BackendToggled]


async def test_a_new_subscriber_hears_nothing_older_and_a_closed_one_heard_all() -> None:
    bus = EventBus()
    first = bus.subscribe()

    bus.reach(Phase.RECEIVED, record(1))
    second = bus.subscribe()
    bus.reach(Phase.RECEIVED, record(2))
    first.close()
    bus.reach(Phase.RECEIVED, record(3))

    assert ids(first.drain()) == ["r1", "r2"]
    assert ids(second.drain()) == ["r2", "r3"]


def ids(events: list[NexusEvent]) -> list[str]:
    return [event.request_id for event in events if isinstance(event, RequestReceived)]


async def test_a_reader_who_waits_is_woken_by_a_phase() -> None:
    bus = EventBus()
    subscription = bus.subscribe()

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiter = tasks.create_task(subscription.wait())
        await settled()
        bus.reach(Phase.RECEIVED, record())
        await settled()
        assert not waiter.done()
        pass_time(1)

    assert ids(subscription.drain()) == ["r0"]


async def test_a_loop_that_ended_early_leaves_no_phase_for_ever() -> None:
    fold = Seen()
    bus = EventBus(fold)
    bus._settles_in = ended = asyncio.new_event_loop()
    ended.close()

    bus.reach(Phase.RECEIVED, record())
    pass_time(1)
    await settled()

    assert fold.at_once == [1]


class Broken:
    """A fold and a log that can take in nothing."""

    def take_in(self, reached: Sequence[Reached]) -> None:
        raise ValueError

    def apply(self, event: NexusEvent) -> None:
        raise ValueError

    def push(self, happened: Sequence[Happened]) -> None:
        raise ValueError


async def test_a_fault_of_one_loses_nothing_for_the_others_and_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fold = Seen()
    bus = EventBus(Broken(), fold, log=Broken())
    subscription = bus.subscribe()

    bus.reach(Phase.RECEIVED, record(1))
    bus.publish(toggled(8))
    bus.reach(Phase.RECEIVED, record(2))
    pass_time(1)
    await settled()

    assert [one.request_id for one in fold.received] == ["r1", "r2"]
    assert fold.events == [toggled(8)]
    assert [type(event) for event in subscription.drain()] == [
        RequestReceived,
        BackendToggled,
        RequestReceived,
    ]
    assert {each.getMessage() for each in caplog.records} == {
        "Broken failed to take in what happened"
    }

import asyncio

from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    BackendToggled,
    NexusEvent,
    RequestReceived,
)
from nexus_core.observe.phases import Phase
from nexus_core.observe.record import RequestRecord
from tests.waiting import settled


class Seen:
    """A fold that hears of events and of the beginning of requests."""

    def __init__(self) -> None:
        self.events: list[NexusEvent] = []
        self.received: list[RequestRecord] = []
        self.phases = {Phase.RECEIVED: self.received.append}

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

import asyncio

from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import BackendToggled, NexusEvent
from tests.waiting import settled


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
    seen: list[NexusEvent] = []
    bus = EventBus(seen.append)
    bus.subscribe(capacity=1)

    for number in range(5):
        bus.publish(toggled(number))

    assert len(seen) == 5


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

from __future__ import annotations

from nexus_core.observe.event_log import EventLog
from nexus_core.observe.events import BackendToggled


def toggled(number: int) -> BackendToggled:
    return BackendToggled(at=number, backend="a", enabled=True)


def filled(count: int, capacity: int = 4) -> EventLog:
    log = EventLog(capacity)
    for number in range(1, count + 1):
        log.push([toggled(number)])
    return log


def numbers(log: EventLog, after: int) -> list[int]:
    return [number for number, _ in log.after(after)]


def test_events_are_numbered_from_one() -> None:
    log = filled(3)

    assert log.last == 3
    assert log.after(1) == [(2, toggled(2)), (3, toggled(3))]
    assert numbers(log, 3) == []
    assert numbers(log, 9) == []


def test_what_came_together_is_numbered_as_if_it_came_one_by_one() -> None:
    together = EventLog(4)

    together.push([toggled(number) for number in range(1, 11)])

    assert together.after(0) == filled(10).after(0)
    assert (together.first, together.last) == (7, 10)


def test_the_oldest_go_and_the_numbers_stay() -> None:
    log = filled(10)

    assert (log.first, log.last) == (7, 10)
    assert numbers(log, 0) == [7, 8, 9, 10]
    assert numbers(log, 8) == [9, 10]


def test_an_empty_log_has_nothing_after_anything() -> None:
    log = EventLog()

    assert (log.first, log.last) == (1, 0)
    assert log.after(0) == []


def test_two_runs_are_told_apart() -> None:
    assert EventLog().run != EventLog().run


def test_readers_are_woken_by_events_and_by_the_end() -> None:
    log = filled(1)

    with log.news() as news:
        assert not news.is_set()
        log.push([toggled(2)])
        assert news.is_set()
        news.clear()
        log.close()
        assert news.is_set()
        assert log.readers == 1

    assert log.readers == 0
    with log.news() as late:
        assert late.is_set()

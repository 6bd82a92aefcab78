"""The requests that changed since the last look are found at the records themselves."""

from __future__ import annotations

from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import RecentRequests
from nexus_tui.sources.changes import ChangedRequests


def made(*ids: str, capacity: int = 100) -> tuple[RecentRequests, ChangedRequests]:
    requests = RecentRequests(capacity)
    for request_id in ids:
        requests.add(RequestRecord(request_id, 1.0))
    return requests, ChangedRequests(requests)


def reach(requests: RecentRequests, request_id: str, ended_at: float | None = None) -> None:
    record = requests.get(request_id)
    assert record is not None
    record.version += 1
    record.ended_at = ended_at


def ids(changed: list[RequestRecord]) -> list[str]:
    return [record.request_id for record in changed]


def test_what_is_new_is_told_once_in_order_of_arrival() -> None:
    requests, changes = made("a", "b")

    assert ids(changes.take()) == ["a", "b"]
    assert changes.take() == []

    requests.add(RequestRecord("c", 1.0))
    assert ids(changes.take()) == ["c"]


def test_a_request_is_told_whenever_it_changed_and_last_when_it_is_over() -> None:
    requests, changes = made("a", "b")
    changes.take()

    reach(requests, "b")
    assert ids(changes.take()) == ["b"]

    reach(requests, "b", ended_at=2.0)
    reach(requests, "a")
    assert ids(changes.take()) == ["a", "b"]

    reach(requests, "b", ended_at=3.0)
    assert changes.take() == []


def test_a_request_that_came_and_went_between_two_looks_is_told_once() -> None:
    requests, changes = made()
    requests.add(RequestRecord("a", 1.0))
    reach(requests, "a", ended_at=2.0)

    assert ids(changes.take()) == ["a"]
    assert changes.take() == []


def test_one_that_is_no_longer_kept_is_told_of_until_its_end() -> None:
    requests, changes = made("a", capacity=1)
    (first,) = changes.take()
    requests.add(RequestRecord("b", 1.0))

    first.version += 1
    first.ended_at = 2.0

    assert ids(changes.take()) == ["a", "b"]

from __future__ import annotations

from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    BackendToggled,
    FirstByteReceived,
    RequestRefused,
)
from nexus_core.observe.requests import RecentRequests
from tests.observe.happened import received


def recent(*ids: str, capacity: int = 3) -> RecentRequests:
    requests = RecentRequests(capacity)
    for request_id in ids:
        requests.apply(received(request_id))
    return requests


def ids(requests: RecentRequests, limit: int = 10, before: str | None = None) -> list[str]:
    return [one.request_id for one in requests.newest(limit, before)]


def test_the_newest_come_first_and_the_oldest_go() -> None:
    requests = recent("a", "b", "c", "d")

    assert ids(requests) == ["d", "c", "b"]
    assert requests.get("a") is None


def test_pages_follow_each_other() -> None:
    requests = recent("a", "b", "c")

    assert ids(requests, 2) == ["c", "b"]
    assert ids(requests, 2, before="b") == ["a"]
    assert ids(requests, 2, before="a") == []
    assert ids(requests, 2, before="gone") == []


def test_a_request_grows_with_its_events() -> None:
    requests = recent("a")
    attempt = Attempt(backend="x", error="answered 503", status=503, elapsed_ms=1)
    requests.apply(AttemptFailed(at=1, request_id="a", attempt=attempt))
    requests.apply(
        FirstByteReceived(
            at=1, request_id="a", backend="y", status=200, first_byte_ms=3, headers=()
        )
    )

    request = requests.get("a")

    assert request is not None
    assert (request.status, request.is_live, request.attempts) == (200, True, (attempt,))


def test_a_refused_call_is_one_of_them() -> None:
    requests = recent()
    requests.apply(RequestRefused(at=1, request_id="r", path="/v1/x", status=401, code="no_key"))

    request = requests.get("r")

    assert request is not None
    assert (request.status, request.error, request.is_live) == (401, "no_key", False)


def test_events_of_requests_that_are_gone_and_of_backends_change_nothing() -> None:
    requests = recent("a", "b", capacity=1)
    attempt = Attempt(backend="x", error="answered 503", status=503, elapsed_ms=1)
    requests.apply(AttemptFailed(at=1, request_id="a", attempt=attempt))
    requests.apply(BackendToggled(at=1, backend="x", enabled=False))

    assert ids(requests) == ["b"]


def test_an_id_that_comes_again_is_that_of_the_newest_until_that_goes_too() -> None:
    requests = recent("a", "b", "a", "c")

    assert ids(requests) == ["c", "a", "b"]
    again = requests.get("a")
    assert again is not None
    assert again.seq == 2

    requests.apply(received("d"))
    requests.apply(received("e"))

    assert requests.get("a") is None

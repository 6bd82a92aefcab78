"""What is read of a record at each moment of its request."""

from __future__ import annotations

import pytest

from nexus_core.observe.events import Attempt, AttemptFailed, RequestRefused
from nexus_core.observe.record import RequestRecord


def record(**known: object) -> RequestRecord:
    one = RequestRecord("r", 1.0, "/v1/chat/completions", "fast")
    for name, value in known.items():
        setattr(one, name, value)
    return one


@pytest.mark.parametrize(
    ("known", "shown", "served"),
    [
        ({}, "fast", None),
        ({"backend": "b", "route_model": "fast"}, "fast", "fast"),
        ({"backend": "b", "route_model": "llama3:70b"}, "fast → llama3:70b", "llama3:70b"),
    ],
)
def test_the_model_is_shown_with_the_one_that_answers(
    known: dict[str, object], shown: str, served: str | None
) -> None:
    assert (record(**known).model, record(**known).served_model) == (shown, served)


def failures(*backends: str) -> tuple[AttemptFailed, ...]:
    attempts = [Attempt(backend=name, error="no", status=None, elapsed_ms=1) for name in backends]
    return tuple([AttemptFailed(at=1.0, request_id="r", attempt=one) for one in attempts])


@pytest.mark.parametrize(
    ("known", "tried"),
    [
        ({}, 0),
        ({"backend": "a"}, 1),
        ({"backend": "b", "failures": failures("a")}, 2),
        ({"backend": "b", "failures": failures("a", "b")}, 2),  # nobody answered
        ({"backend": "a", "failures": failures("a", "b")}, 2),  # and the first one's failure tells
    ],
)
def test_a_backend_whose_failure_the_client_got_counts_once(
    known: dict[str, object], tried: int
) -> None:
    assert record(**known).tried == tried


@pytest.mark.parametrize(
    ("known", "has_error"),
    [
        ({}, False),
        ({"status": 200}, False),
        ({"status": 404}, True),
        ({"status": 200, "error": "the stream broke"}, False),  # not over yet
        ({"status": 200, "error": "the stream broke", "ended_at": 2.0}, True),
        ({"status": 502, "failed": True, "ended_at": 2.0}, True),
        ({"status": 499, "client_left": True, "ended_at": 2.0}, False),
    ],
)
def test_an_error_is_what_the_client_got_or_what_broke_its_answer(
    known: dict[str, object], has_error: bool
) -> None:
    assert record(**known).has_error is has_error


@pytest.mark.parametrize(
    ("endpoint", "api"),
    [
        ("/v1/chat/completions", "chat"),
        ("/v1/completions", "completions"),
        ("/v1/embeddings", "embeddings"),
        ("/v1/messages", "messages"),
        ("/v1", ""),
        ("", ""),
    ],
)
def test_the_api_is_what_the_path_has_after_its_version(endpoint: str, api: str) -> None:
    refused = RequestRefused(at=1.0, request_id="r", path=endpoint, status=401, code="no_key")

    assert RequestRecord("r", 1.0, endpoint).api == api
    assert RequestRecord("r", 1.0, refused=refused).api == api


def test_nothing_can_be_kept_beside_what_a_record_holds() -> None:
    with pytest.raises(AttributeError):
        record(body=b"a prompt")

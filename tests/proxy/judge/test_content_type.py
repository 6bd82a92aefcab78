from __future__ import annotations

import pytest

from nexus_core.proxy.judge.content_type import as_json, as_stream, labelled_for
from nexus_core.upstream.base import Headers

OTHER = ("x-request-id", "1")
JSON = ("content-type", "application/json")
EVENTS = ("content-type", "text/event-stream")


def typed(*values: str) -> Headers:
    return (OTHER, *(("content-type", value) for value in values))


@pytest.mark.parametrize("value", ["application/json", "Application/JSON; charset=utf-8"])
def test_a_true_label_stays_as_the_backend_writes_it(value: str) -> None:
    assert as_json(typed(value)) == typed(value)


@pytest.mark.parametrize("values", [(), ("text/html",), ("text/html", "text/plain")])
def test_a_missing_or_wrong_label_is_replaced_by_one(values: tuple[str, ...]) -> None:
    assert as_json(typed(*values)) == (OTHER, JSON)
    assert as_stream(typed(*values), "text/event-stream") == (OTHER, EVENTS)


def test_of_several_labels_the_first_that_fits_stays() -> None:
    labels = typed("text/plain", "application/problem+json", "application/json")

    assert as_json(labels) == (OTHER, ("content-type", "application/problem+json"))


@pytest.mark.parametrize("body", [b'{"error": 1}', b"  [1]"])
def test_an_error_that_looks_like_json_is_labelled_so(body: bytes) -> None:
    assert labelled_for(typed("text/html"), body) == (OTHER, JSON)


def test_any_other_error_keeps_its_label_or_is_text() -> None:
    assert labelled_for(typed("text/html"), b"<html>") == typed("text/html")
    assert labelled_for(typed(), b"busy") == (OTHER, ("content-type", "text/plain; charset=utf-8"))

"""HAR 1.2: every field that the format asks for, and no key."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from nexus_core.observe.captured import CapturedExchange
from nexus_tui.text.requests.har import to_har
from tests.tui.fleet import Story
from tests.tui.staged import captured, streamed
from tests.tui.text.requests.test_snippets import make_row

ADDRESS = "127.0.0.1:8000"
DONE = Story(0, "gpt-4o", "openai")
RUNNING = Story(0, "gpt-4o", "openai", total_ms=None, tokens=None)
REFUSED = Story(0, "gpt-4o", None, None, status=503, first_ms=None, tokens=None)
REQUEST = {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize"}
RESPONSE = {"status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL"}


def entry(story: Story, kept: CapturedExchange | None = None) -> dict[str, Any]:
    log = json.loads(to_har([(make_row(story), kept)], ADDRESS))["log"]
    assert log["version"] == "1.2"
    assert set(log["creator"]) == {"name", "version"}
    (one,) = log["entries"]
    return dict(one)


@pytest.mark.parametrize("story", [DONE, RUNNING, REFUSED])
def test_an_entry_has_every_field_of_the_format(story: Story) -> None:
    one = entry(story)

    assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= one.keys()
    assert datetime.fromisoformat(one["startedDateTime"]).tzinfo is not None
    assert one["request"].keys() >= {*REQUEST, "bodySize"}
    assert one["response"].keys() >= {*RESPONSE, "headersSize", "bodySize"}
    assert one["response"]["content"].keys() >= {"size", "mimeType"}
    timings = one["timings"]
    assert min(timings.values()) >= 0
    assert sum(timings.values()) == pytest.approx(one["time"])
    assert all(set(header) == {"name", "value"} for header in one["request"]["headers"])


def test_keys_are_masked_and_bodies_only_there_where_they_are_given() -> None:
    one = entry(DONE)

    assert {"name": "Authorization", "value": "***"} in one["request"]["headers"]
    assert "postData" not in one["request"]
    assert "text" not in one["response"]["content"]


def test_bodies_are_whole_or_say_that_they_are_not() -> None:
    whole = captured("r1", streamed("an answer"))

    one, part = entry(DONE, whole), entry(DONE, replace(whole, is_whole=False))

    assert json.loads(one["request"]["postData"]["text"])["model"] == "gpt-4"
    assert one["request"]["postData"]["mimeType"] == "application/json"
    assert one["response"]["content"]["text"] == whole.answer.decode()
    assert "comment" not in one["response"]["content"]
    assert part["response"]["content"]["comment"] == "the beginning of it"


def test_an_answer_that_is_no_text_is_in_base64() -> None:
    one = entry(DONE, captured("r1", b"\xff\xfe"))

    assert one["response"]["content"]["encoding"] == "base64"
    assert one["response"]["content"]["text"] == "//4="


def test_what_nexus_knows_stands_beside() -> None:
    assert entry(DONE)["_nexus"]["backend"] == "openai"

"""Streams of responses as the whole response that they tell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.dialects.openai_responses.collected import ResponseCollector
from tests.scenarios.responses import STREAMS, recorded_stream


def collected(*parts: bytes) -> dict[str, Any]:
    collector = ResponseCollector()
    for part in parts:
        collector.feed(part)
    whole: dict[str, Any] = json.loads(collector.whole())
    return whole


@pytest.mark.parametrize("stem", STREAMS)
def test_a_stream_tells_its_response_wherever_it_is_split(stem: str) -> None:
    told = recorded_stream(stem)

    wholes = [collected(told[:cut], told[cut:]) for cut in range(1, len(told), 101)]

    assert all(whole == wholes[0] for whole in wholes)
    assert wholes[0]["status"] == "completed"
    assert wholes[0]["output"]
    assert wholes[0]["usage"]["output_tokens"] == 50


def test_items_that_only_their_own_events_tell_are_in_it() -> None:
    (item,) = collected(recorded_stream("09-smallest-stream-it-takes"))["output"]

    assert (item["type"], item["name"]) == ("function_call", "exec_command")


@pytest.mark.parametrize("data", [b"", b"data: [DONE]\n\n", b"data: 7\n\n", b"data: {}\n\n"])
def test_a_stream_without_a_response_is_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="no response"):
        collected(data)

"""Whatever a client sends to the Responses API is read, translated, or refused: never a crash."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any
from unittest.mock import ANY

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.dialects.hub.prompt import prompt_of
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.dialects.openai_responses.bridge.answer import response_fields
from nexus_core.dialects.openai_responses.bridge.stream import ResponseStreamWriter
from nexus_core.dialects.openai_responses.bridge.to_hub import prompt_fields, to_hub
from nexus_core.dialects.openai_responses.dialect import RESPONSES
from nexus_core.dialects.openai_responses.native import as_stream, read_answer
from nexus_core.dialects.openai_responses.passed import write_passed
from nexus_core.dialects.openai_responses.reader import ResponseStreamReader
from nexus_core.dialects.request import Request
from nexus_core.errors import InvalidRequestError, UpstreamFailedError
from nexus_core.types import Operation
from tests.dialects.anthropic.test_inbound import ANYTHING, mutated
from tests.scenarios.messages import THINKING_AND_CALLS
from tests.scenarios.responses import STREAMS, TURNS, body_of, events_of, recorded_stream


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    body = body_of(draw(st.sampled_from(TURNS)))
    for _ in range(draw(st.integers(0, 3))):
        changed = mutated(body, draw)
        body = changed if isinstance(changed, dict) else body
    return json.dumps(body).encode()


def read(body: Any) -> Request:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RESPONSES.read_request(Operation.CHAT, data, "r1")


@given(body=bodies() | st.binary(max_size=40), target=st.sampled_from(HubTarget))
def test_any_body_is_read_or_refused(body: bytes, target: HubTarget) -> None:
    with suppress(InvalidRequestError):
        request = read(body)

        assert request.demand.prompt_tokens >= 0
        assert prompt_of(prompt_fields(request)).is_chat
        assert json.loads(write_passed(request, "other"))["model"] == "other"
        hub = to_hub(request, target).request
        assert json.loads(hub.body) == json.loads(json.dumps(hub.parsed))
        check_chat_request(hub.parsed)
        events = events_of(ResponseStreamWriter(request, "m").end(None).decode())
        begun = {**json.loads(json.dumps(response_fields(request, "m"))), "created_at": ANY}
        assert events[0]["response"] == begun


@given(
    kind=st.text(max_size=9) | st.sampled_from(["message", "reasoning", "mcp_call"]),
    fields=st.dictionaries(
        st.sampled_from(
            [
                "content",
                "output",
                "call_id",
                "name",
                "role",
                "arguments",
                "tools",
                "summary",
                "encrypted_content",
                "action",
                "input",
            ]
        ),
        ANYTHING,
    ),
)
def test_any_item_is_read_or_refused(kind: str, fields: dict[str, Any]) -> None:
    with suppress(InvalidRequestError):
        request = read({"model": "m", "input": [{"type": kind, **fields}]})
        check_chat_request(to_hub(request, HubTarget.TRANSLATOR).request.parsed)


@given(cut=st.integers(1, len(b"".join(THINKING_AND_CALLS)) - 1))
def test_a_chat_stream_reads_the_same_wherever_it_is_split(cut: int) -> None:
    request, told = read(body_of("02-turn-2")), b"".join(THINKING_AND_CALLS)

    def items(*parts: bytes) -> list[Any]:
        writer = ResponseStreamWriter(request, "m")
        made = b"".join(map(writer.write, parts)) + writer.end(None)
        output: list[Any] = events_of(made.decode())[-1]["response"]["output"]
        return output

    assert items(told[:cut], told[cut:]) == items(told)


@given(stem=st.sampled_from(STREAMS), cuts=st.lists(st.integers(0, 9000), max_size=4))
def test_the_reader_learns_the_same_wherever_whole_lines_end(stem: str, cuts: list[int]) -> None:
    lines = recorded_stream(stem).splitlines(keepends=True)
    borders = sorted({0, len(lines), *(cut % len(lines) for cut in cuts)})
    reader = ResponseStreamReader()

    shown = [reader.read(b"".join(lines[a:b])) for a, b in pairwise(borders)]

    assert b"".join(shown) == recorded_stream(stem)
    assert reader.usage is not None
    assert reader.usage.completion_tokens == 50
    assert (reader.is_ended, reader.is_between_events, reader.unreported_bytes) == (True, True, 0)


@given(body=st.binary(max_size=60) | st.builds(lambda one: json.dumps(one).encode(), ANYTHING))
def test_any_answer_is_read_or_refused(body: bytes) -> None:
    with suppress(ValueError):
        read_answer(body)
        as_stream(body)


@given(first=st.binary(max_size=60), last=st.binary(max_size=60))
def test_a_failure_can_be_told_behind_anything(first: bytes, last: bytes) -> None:
    error = UpstreamFailedError("broke")

    event = RESPONSES.error_event_after(error, "r1", first, last)

    data = json.loads(event.partition(b"data: ")[2])
    assert data["response"]["error"] == {"code": "server_error", "message": "broke"}


def test_what_is_held_of_an_answer_has_a_limit() -> None:
    writer = ResponseStreamWriter(read({"model": "m", "input": "hi"}), "m")
    piece = json.dumps({"choices": [{"index": 0, "delta": {"content": "x" * 1024 * 1024}}]})
    line = b"data: " + piece.encode() + b"\n\n"

    for _ in range(32):
        writer.write(line)
    with pytest.raises(ValueError, match="longer than"):
        writer.write(line)

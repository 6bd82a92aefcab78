"""Whatever a client sends to the Messages API is read, translated, or refused: never a crash."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.anthropic.inbound.bridge.stream import MessageStreamWriter
from nexus_core.dialects.anthropic.inbound.bridge.to_hub import prompt_fields, to_hub
from nexus_core.dialects.anthropic.inbound.passed import write_passed
from nexus_core.dialects.anthropic.inbound.request import read_request
from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.dialects.hub.prompt import prompt_of
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.errors import InvalidRequestError
from nexus_core.types import Operation
from tests.scenarios.messages import THINKING_AND_CALLS, TURNS, body_of, call_piece

SCALARS = st.none() | st.booleans() | st.integers(-9, 99) | st.floats() | st.text(max_size=5)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


def mutated(value: Any, draw: st.DrawFn) -> Any:
    """The value with one of its parts, at any depth, replaced, or as it is."""
    if draw(st.integers(0, 5)) == 0:
        return draw(ANYTHING)
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: mutated(value[key], draw)}
    if isinstance(value, list) and value:
        at = draw(st.integers(0, len(value) - 1))
        return [*value[:at], mutated(value[at], draw), *value[at + 1 :]]
    return draw(ANYTHING)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    body = body_of(draw(st.sampled_from(TURNS)))
    for _ in range(draw(st.integers(0, 3))):
        changed = mutated(body, draw)
        body = changed if isinstance(changed, dict) else body
    return json.dumps(body).encode()


MODELS = ["other", "claude-sonnet-4-5", "claude-3-5-haiku-latest", "claude-opus-5"]


@given(
    body=bodies() | st.binary(max_size=40),
    target=st.sampled_from(HubTarget),
    model=st.sampled_from(MODELS),
)
def test_any_body_is_read_or_refused(body: bytes, target: HubTarget, model: str) -> None:
    with suppress(InvalidRequestError):
        request = read_request(Operation.CHAT, body, "r1")

        assert request.demand.prompt_tokens >= 0
        assert prompt_of(prompt_fields(request)).is_chat
        assert json.loads(write_passed(request, model)[0])["model"] == model
        hub = to_hub(request, target).request
        assert json.loads(hub.body) == json.loads(json.dumps(hub.parsed))
        check_chat_request(hub.parsed)


@given(cut=st.integers(1, len(b"".join(THINKING_AND_CALLS)) - 1))
def test_a_chat_stream_reads_the_same_wherever_it_is_split(cut: int) -> None:
    request = read_request(Operation.CHAT, json.dumps(body_of("02-turn-1")).encode(), "r1")
    told = b"".join(THINKING_AND_CALLS)

    def joined(*parts: bytes) -> dict[int, str]:
        writer = MessageStreamWriter(request, "m")
        made = b"".join(map(writer.write, parts)) + writer.end(None)
        texts: dict[int, str] = {}
        for line in made.decode().splitlines():
            data = json.loads(line[5:]) if line.startswith("data:") else {}
            for name in ("text", "thinking", "partial_json", "signature"):
                piece = data.get("delta", {}).get(name, "")
                texts[data.get("index", -1)] = texts.get(data.get("index", -1), "") + piece
        return texts

    assert joined(told[:cut], told[cut:]) == joined(told)


@given(
    lines=st.lists(
        st.sampled_from(
            [
                b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
                b'data: {"choices":[{"delta":{"content":null,"tool_calls":[{"index":0}]}}]}\n\n',
                b'data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"f"}}]}}]}\n\n',
                b'data: {"choices":[{"delta":{"tool_calls":[null,{"index":"x","function":'
                b'{"name":"g","arguments":{"a":1}}}]}}]}\n\n',
                b'data: {"choices":[{"delta":{"reasoning":"r"},"finish_reason":"length"}]}\n\n',
                b'data: {"choices":{},"usage":7}\n\n',
                b'data: {"choices":[{"index":1,"delta":{"content":"other"}}]}\n\n',
                b"data: [1]\n\n",
                b"data: {\n\n",
                b": ping\n\n",
            ]
        ),
        max_size=8,
    )
)
def test_blocks_of_any_stream_stand_one_after_the_other(lines: list[bytes]) -> None:
    request = read_request(Operation.CHAT, json.dumps(body_of("02-turn-1")).encode(), "r1")
    writer = MessageStreamWriter(request, "m")

    made = b"".join(map(writer.write, lines)) + writer.end(None)

    is_open, number = False, 0
    for block in made.decode().strip().split("\n\n"):
        kind = block.split("\n")[0].removeprefix("event: ")
        data = json.loads(block.split("\n")[1].removeprefix("data: "))
        if kind == "content_block_start":
            assert (is_open, data["index"]) == (False, number)
            is_open = True
        elif kind == "content_block_delta":
            assert (is_open, data["index"]) == (True, number)
        elif kind == "content_block_stop":
            is_open, number = False, number + 1
    assert not is_open
    assert made.startswith(b"event: message_start")
    assert made.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')


def test_what_is_held_of_a_call_has_a_limit() -> None:
    request = read_request(Operation.CHAT, json.dumps(body_of("02-turn-1")).encode(), "r1")
    writer = MessageStreamWriter(request, "m")
    piece = call_piece(0, "x" * 1024 * 1024)
    writer.write(call_piece(0, "", id="c", name="f"))

    for _ in range(32):
        writer.write(piece)
    with pytest.raises(ValueError, match="too long"):
        writer.write(piece)

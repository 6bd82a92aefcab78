"""Whatever a client sends to Ollama's API is read, translated, or refused: never a crash."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.dialects.hub.request import check_chat_request
from nexus_core.dialects.ollama.bridge.to_hub import read_prompt, to_hub
from nexus_core.dialects.ollama.bridge.writer import OllamaWriter, Timer
from nexus_core.dialects.ollama.dialect import (
    CHAT,
    EMBED,
    EMBEDDINGS,
    GENERATE,
    OLLAMA,
    OllamaDialect,
)
from nexus_core.dialects.ollama.request import is_probe, unloads
from nexus_core.errors import InvalidRequestError
from nexus_core.types import Capability, Operation
from tests.contract.bodies import FIRST, HELLO
from tests.dialects.anthropic.test_inbound import ANYTHING, mutated
from tests.scenarios.messages import THINKING_AND_CALLS

CALL = {"id": "c1", "function": {"index": 0, "name": "f", "arguments": {"a": 1}}}
BODIES: dict[str, dict[str, Any]] = {
    CHAT.path: {
        "model": "m",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": "u", "images": ["iVBORw0KGgo="]},
            {"role": "assistant", "content": "", "thinking": "t", "tool_calls": [CALL]},
            {"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "c1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "format": {"type": "object"},
        "options": {"temperature": 1, "stop": ["x"], "num_predict": 5, "top_k": 4, "num_ctx": 9},
        "think": "high",
        "keep_alive": "5m",
        "logprobs": True,
        "top_logprobs": 2,
        "stream": False,
    },
    GENERATE.path: {
        "model": "m",
        "prompt": "p",
        "suffix": "",
        "system": "s",
        "raw": False,
        "images": ["/9j/"],
        "context": [],
        "format": "json",
        "options": {"seed": 1},
        "keep_alive": 0,
    },
    EMBED.path: {"model": "m", "input": ["a", "b"], "dimensions": 3, "truncate": True},
    EMBEDDINGS.path: {"model": "m", "prompt": "a", "options": {"num_ctx": 5}},
}


@st.composite
def bodies(draw: st.DrawFn) -> tuple[OllamaDialect, bytes]:
    dialect = draw(st.sampled_from(OLLAMA))
    body = BODIES[dialect.path]
    for _ in range(draw(st.integers(0, 3))):
        changed = mutated(body, draw)
        body = changed if isinstance(changed, dict) else body
    return dialect, json.dumps(body).encode()


def operation_of(dialect: OllamaDialect) -> Operation:
    return next(iter(dialect.paths))


@given(asked=bodies(), target=st.sampled_from(HubTarget))
def test_a_request_is_read_or_refused(
    asked: tuple[OllamaDialect, bytes], target: HubTarget
) -> None:
    dialect, body = asked
    with suppress(InvalidRequestError):
        request = dialect.read_request(operation_of(dialect), body, "r1")
        assert isinstance(is_probe(request), bool)
        assert isinstance(unloads(request), bool)
        assert read_prompt(request).texts is not None
        assert json.loads(dialect.write_passed(request, "other"))["model"] == "other"
        hub = to_hub(request, target).request
        json.loads(hub.body)
        assert hub.model == request.model
        if hub.operation is Operation.CHAT:
            check_chat_request(hub.parsed)


@given(dialect=st.sampled_from(OLLAMA), body=st.binary(max_size=40))
def test_bytes_are_read_or_refused(dialect: OllamaDialect, body: bytes) -> None:
    with suppress(InvalidRequestError):
        dialect.read_request(operation_of(dialect), body)


@given(cuts=st.lists(st.integers(0, 2000), max_size=6), junk=ANYTHING)
def test_a_stream_is_written_alike_wherever_it_is_split(cuts: list[int], junk: Any) -> None:
    body = json.dumps(BODIES[CHAT.path]).encode()
    request = CHAT.read_request(Operation.CHAT, body, "r1")
    told = b"".join(THINKING_AND_CALLS[:3])
    told += b"data: " + json.dumps({"choices": [{"delta": junk}]}).encode() + b"\n\n"
    told += b"".join(THINKING_AND_CALLS[3:])
    timer = Timer(now=lambda: 1_800_000_000.5, ticks=lambda: 7)

    def written(parts: list[bytes]) -> bytes:
        writer = OllamaWriter(request, timer).stream()
        return b"".join([*map(writer.write, parts), writer.end(None)])

    places = sorted({min(cut, len(told)) for cut in cuts})
    parts = [told[a:b] for a, b in zip([0, *places], [*places, len(told)], strict=True)]

    whole = written([told])

    assert written(parts) == whole
    lines = [json.loads(one) for one in whole.splitlines()]
    assert [one["done"] for one in lines] == [False] * (len(lines) - 1) + [True]
    assert lines[0]["created_at"] == "2027-01-15T08:00:00.500000Z"


@pytest.mark.parametrize(
    ("dialect", "more", "streams"),
    [
        (CHAT, {}, True),
        (CHAT, {"stream": None}, True),
        (CHAT, {"stream": False}, False),
        (GENERATE, {}, True),
        (EMBED, {}, False),
        (EMBEDDINGS, {"stream": True}, False),
    ],
)
def test_no_stream_field_means_a_stream(
    dialect: OllamaDialect, more: dict[str, Any], streams: bool
) -> None:
    body = {**BODIES[dialect.path], **more}
    if not more:
        body.pop("stream", None)

    request = dialect.read_request(operation_of(dialect), json.dumps(body).encode())

    assert request.is_streaming is streams


def test_what_a_request_needs_is_read() -> None:
    body = json.dumps(BODIES[CHAT.path]).encode()

    demand = CHAT.read_request(Operation.CHAT, body).demand

    assert demand.capabilities == {
        Capability.CHAT,
        Capability.VISION,
        Capability.TOOLS,
        Capability.JSON,
    }
    assert demand.place_of(Capability.VISION) == "messages[1].images[0]"
    assert (demand.completion_limit, len(demand.prefixes)) == (5, 4)


@pytest.mark.parametrize(
    ("dialect", "more", "probes", "unloading"),
    [
        (CHAT, {"messages": []}, True, False),
        (CHAT, {"messages": [], "keep_alive": 0}, True, True),
        (CHAT, {"messages": [], "images": ["aGk="]}, True, False),
        (CHAT, {"keep_alive": 0}, False, True),
        (GENERATE, {"prompt": "", "images": None, "keep_alive": "0s"}, True, True),
        (GENERATE, {"prompt": "", "images": None, "keep_alive": False}, True, False),
        (GENERATE, {}, False, True),
        (GENERATE, {"prompt": "", "images": ["aGk="]}, False, True),
        (EMBED, {"input": []}, True, False),
        (EMBED, {"input": "", "keep_alive": 0}, True, True),
        (EMBED, {"input": None}, True, False),
        (EMBED, {"input": None, "images": ["aGk="]}, True, False),
        (EMBED, {"input": [""]}, False, False),
        (EMBEDDINGS, {"prompt": ""}, True, False),
    ],
)
def test_a_request_without_a_prompt_loads_or_unloads(
    dialect: OllamaDialect, more: dict[str, Any], probes: bool, unloading: bool
) -> None:
    body = json.dumps({**BODIES[dialect.path], **more}).encode()
    request = dialect.read_request(operation_of(dialect), body)

    assert (is_probe(request), unloads(request)) == (probes, unloading)


def test_a_raw_prompt_has_its_system_prompt_within() -> None:
    body = json.dumps({"model": "m", "prompt": "p", "system": "s", "raw": True}).encode()
    request = GENERATE.read_request(Operation.CHAT, body)

    with pytest.raises(InvalidRequestError, match="raw mode") as refused:
        to_hub(request, HubTarget.LOCAL)

    assert refused.value.param == "system"


def test_the_model_is_renamed_wherever_it_stands() -> None:
    body = b'{"messages": [{"role":"user","content":"\\"model\\": \\"m\\""}], "model" : "\\u006d" }'

    request = CHAT.read_request(Operation.CHAT, body)

    assert request.model == "m"
    assert CHAT.write_passed(request, "llama3:8b") == body.replace(b'"\\u006d"', b'"llama3:8b"')
    assert CHAT.write_passed(request, "m") == body


def test_durations_are_those_of_the_prompt_and_of_the_answer() -> None:
    body = {**BODIES[CHAT.path], "stream": True}
    request = CHAT.read_request(Operation.CHAT, json.dumps(body).encode())
    clock = iter(range(0, 1000, 10))
    writer = OllamaWriter(request, Timer(now=lambda: 0.0, ticks=lambda: next(clock))).stream()

    writer.write(FIRST + HELLO)
    last = json.loads(writer.end(None).splitlines()[-1])

    assert last["prompt_eval_duration"] == 10
    assert last["eval_duration"] == last["total_duration"] - 10 == 10


@pytest.mark.parametrize(
    ("dialect", "field", "given"),
    [
        (EMBED, "input", []),
        (EMBED, "input", ""),
        (EMBED, "input", ["a", ""]),
        (EMBED, "input", [""]),
        (EMBEDDINGS, "prompt", ""),
    ],
)
def test_no_text_to_embed_is_refused_where_it_is_not_for_ollama(
    dialect: OllamaDialect, field: str, given: Any
) -> None:
    request = dialect.read_request(
        Operation.EMBEDDINGS, json.dumps({"model": "m", field: given}).encode()
    )

    with pytest.raises(InvalidRequestError, match=r"only Ollama (takes|backends load)") as refused:
        to_hub(request, HubTarget.LOCAL)

    assert refused.value.param == field

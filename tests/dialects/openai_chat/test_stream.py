from __future__ import annotations

import json

import pytest

from nexus_core.dialects.openai_chat.answers import text_length
from nexus_core.dialects.openai_chat.stream import ChatStreamReader
from nexus_core.observe.events import TokenUsage


@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("text", ["", "Hello there.", "你好世界"])
def test_the_length_is_that_of_the_text_however_it_is_written(text: str, ascii_only: bool) -> None:
    delta = {"choices": [{"delta": {"role": "assistant", "content": text}}]}

    length = text_length(json.dumps(delta, ensure_ascii=ascii_only).encode())

    assert length == len(text.encode())


def test_all_that_a_model_says_counts_and_nothing_else() -> None:
    call = {"id": "call_1", "function": {"name": "weather", "arguments": "12345"}}
    message = {"content": "1", "reasoning_content": "12", "refusal": "123", "tool_calls": [call]}
    answer = {"id": "chatcmpl-1", "model": "m", "choices": [{"message": message}]}

    assert text_length(json.dumps(answer).encode()) == 1 + 2 + 3 + 5


def test_embeddings_say_nothing() -> None:
    assert text_length(b'{"data":[{"object":"embedding","embedding":[0.25, 1e-3]}]}') == 0


COUNTS = {"prompt_tokens": 23, "completion_tokens": 19, "total_tokens": 42}
STOPS = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
OF_CHOICE = [{**STOPS[0], "usage": COUNTS}]


def line(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


@pytest.mark.parametrize("hides", [False, True])
@pytest.mark.parametrize(
    ("data", "is_only_usage"),
    [
        (line(choices=[], usage=COUNTS), True),
        (line(choices=[], usage=None, x_groq={"id": "req_1", "usage": COUNTS}), True),
        (line(choices=[], timings={"prompt_n": 23, "predicted_n": 19}), True),
        # Servers written in Go write an empty list so, or leave it out.
        (line(choices=None, usage=COUNTS), True),
        (line(object="chat.completion.chunk", usage=COUNTS), True),
        (line(choices=[], usage=COUNTS, error=None), True),
        (line(choices=STOPS, usage=COUNTS), False),
        (line(choices=STOPS, x_groq={"usage": COUNTS}), False),
        (line(choices=OF_CHOICE), False),
        (line(choices=STOPS, timings={"prompt_n": 23, "predicted_n": 19}), False),
        (line(done=True, prompt_eval_count=23, eval_count=19), False),
        (line(choices=[], usage=COUNTS, error={"message": "overloaded"}), False),
    ],
)
def test_only_a_chunk_that_tells_nothing_else_is_left_out(
    data: bytes, is_only_usage: bool, hides: bool
) -> None:
    reader = ChatStreamReader(hides_usage=hides)
    other = line(choices=STOPS, usage=None)

    passed = reader.read(other) + reader.read(data) + reader.read(other)

    assert passed == other + (b"" if hides and is_only_usage else data) + other
    assert reader.usage == TokenUsage(prompt_tokens=23, completion_tokens=19)


def test_a_usage_that_tells_nothing_is_left_out_as_well() -> None:
    reader = ChatStreamReader(hides_usage=True)

    assert reader.read(line(choices=[], usage={"prompt_tokens": 0, "completion_tokens": 0})) == b""
    assert reader.usage is None


def test_a_chunk_without_usage_is_never_left_out() -> None:
    reader = ChatStreamReader(hides_usage=True)
    parts = [
        line(choices=[], prompt_filter_results=[]),
        line(choices=[], usage=None),
        line(choices=[], x_groq={"id": "req_1"}),
    ]

    assert [reader.read(part) for part in parts] == parts
    assert reader.usage is None

from __future__ import annotations

import json

import pytest

from nexus_core.proxy.meter import text_length


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

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.dialects.anthropic.sdk import check_chunk, check_completion, check_request

BODY = {"model": "m", "max_tokens": 1, "stream": False}
TEXT = {"type": "text", "text": "x"}


@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "messages": [], "n": 1},
        {**BODY, "messages": [{"role": "user", "content": [{**TEXT, "more": 1}]}]},
        {**BODY, "messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {**BODY, "messages": [{"role": "tool", "content": "x"}]},
        {**BODY, "messages": [], "tool_choice": {"type": "required"}},
        {**BODY, "messages": [], "thinking": {"type": "enabled"}},
    ],
)
def test_the_judge_of_requests_refuses_what_the_sdk_does_not_know(body: dict[str, Any]) -> None:
    with pytest.raises((ValidationError, AssertionError)):
        check_request(body)


def test_the_judge_of_answers_refuses_fields_that_nobody_documented() -> None:
    message = {"role": "assistant", "content": None, "surprise": 1}
    answer = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
    }

    with pytest.raises(AssertionError):
        check_completion(answer)
    with pytest.raises(ValidationError):
        check_chunk({**answer, "created": "1"})

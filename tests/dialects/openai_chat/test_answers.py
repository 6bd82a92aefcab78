from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from nexus_core.dialects.openai_chat.answers import read_answer
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.dialects.plain_usage import MAX_TOKENS
from nexus_core.dialects.usage import read_usage
from nexus_core.observe.events import TokenUsage
from nexus_core.types import Operation

REQUEST = read_request(Operation.CHAT, b'{"model":"m","messages":[{"role":"user","content":"hi"}]}')

COUNTS: st.SearchStrategy[Any] = st.one_of(
    st.integers(-1, 5),
    st.sampled_from([None, True, False, 2.0, 1.5, "3", [], MAX_TOKENS, MAX_TOKENS + 1]),
)
DETAILS = st.dictionaries(
    st.sampled_from(["cached_tokens", "reasoning_tokens", "audio_tokens"]), COUNTS, max_size=2
)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": COUNTS,
        "completion_tokens": COUNTS,
        "total_tokens": COUNTS,
        "input_tokens": COUNTS,
        "cached_tokens": COUNTS,
        "reasoning_tokens": COUNTS,
        "prompt_cache_miss_tokens": COUNTS,
        "cache_read_input_tokens": COUNTS,
        "prompt_audio_seconds": COUNTS,
        "cost": COUNTS,
        "prompt_tokens_details": st.none() | DETAILS,
        "completion_tokens_details": st.none() | DETAILS,
        "queue_time": COUNTS,
    },
)
PLAIN = st.fixed_dictionaries(
    {"prompt_tokens": COUNTS, "completion_tokens": COUNTS},
    optional={"total_tokens": COUNTS, "prompt_tokens_details": st.none(), "cost": st.none()},
)


@given(usage=st.one_of(USAGES, PLAIN, st.none()), of_choice=st.none() | USAGES)
@example(usage={"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}, of_choice=None)
@example(usage={"prompt_tokens": 1, "completion_tokens": 0, "total_tokens": True}, of_choice=None)
@example(usage={"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 12}, of_choice=None)
def test_the_usage_of_an_answer_follows_the_rules_of_all_vendors(
    usage: dict[str, Any] | None, of_choice: dict[str, Any] | None
) -> None:
    choice = {"index": 0, "finish_reason": "stop", "message": {"content": "x"}, "usage": of_choice}
    answer: dict[str, Any] = {"choices": [choice], "usage": usage}

    read = read_answer(REQUEST, json.dumps(answer).encode())

    assert read.report is None
    assert read.usage == read_usage(answer)


def test_a_plain_usage_and_the_tier_are_read() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": None}
    answer = {"choices": [{"message": {"content": "x"}}], "usage": usage, "service_tier": "flex"}

    read = read_answer(REQUEST, json.dumps(answer).encode())

    assert read.usage == TokenUsage(prompt_tokens=9, completion_tokens=1)
    assert read.service_tier == "flex"

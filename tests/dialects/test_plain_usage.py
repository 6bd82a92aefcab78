"""The common form of a usage is read as any form is."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from nexus_core.dialects.plain_usage import MAX_TOKENS, read_plain_usage
from nexus_core.dialects.usage import _of_usage
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonValue

COUNTS: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 9),
    st.sampled_from([None, -1, True, 2.0, 1.5, "3", [], {}, MAX_TOKENS, MAX_TOKENS + 1, 10**30]),
)
DETAILS = st.none() | st.dictionaries(
    st.sampled_from(
        [
            *("cached_tokens", "audio_tokens", "reasoning_tokens", "cache_write_tokens"),
            *("accepted_prediction_tokens", "rejected_prediction_tokens"),
        ]
    ),
    COUNTS,
    max_size=3,
)
USAGES = st.fixed_dictionaries(
    {"prompt_tokens": COUNTS, "completion_tokens": COUNTS},
    optional={
        "total_tokens": COUNTS | st.integers(0, 18),
        "prompt_tokens_details": DETAILS,
        "completion_tokens_details": DETAILS,
        "cached_tokens": COUNTS,
        "cost": COUNTS,
    },
)


@given(USAGES | COUNTS)
@example({"prompt_tokens": 0, "completion_tokens": 0})
@example({"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 8})
@example(
    {
        "prompt_tokens": 5,
        "completion_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
)
def test_what_is_read_at_once_is_read_in_the_same_way_by_all_rules(usage: JsonValue) -> None:
    plain = read_plain_usage(usage)

    assert plain is None or plain == _of_usage(usage)


def test_only_known_keys_are_plain() -> None:
    usage: dict[str, Any] = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}

    assert read_plain_usage(usage) == TokenUsage(prompt_tokens=5, completion_tokens=2)
    assert read_plain_usage({**usage, "cached_tokens": 0}) is None

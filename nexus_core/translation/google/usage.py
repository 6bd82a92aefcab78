"""What an answer of Gemini cost in tokens."""

from __future__ import annotations

from nexus_core.events import TokenUsage
from nexus_core.translation.openai import MAX_TOKENS, JsonObject

# Of usageMetadata, all that is read; the details are told apart by modality.
_COUNTS = (
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
)
_DETAILS = ("promptTokensDetails", "candidatesTokensDetails")
USAGE_FIELDS = frozenset(_COUNTS + _DETAILS)


def read_usage(answer: JsonObject) -> TokenUsage | None:
    """The usage of an answer or an event of a stream; None where it holds none.

    In a stream each one counts from its start, so that the last one counts.
    """
    usage = answer.get("usageMetadata")
    if not isinstance(usage, dict) or not any(_count(usage, name) for name in _COUNTS):
        return None
    prompt = _count(usage, "promptTokenCount") + _count(usage, "toolUsePromptTokenCount")
    thoughts = _count(usage, "thoughtsTokenCount")
    completion = _count(usage, "candidatesTokenCount") + thoughts
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=min(_count(usage, "cachedContentTokenCount"), prompt),
        reasoning_tokens=thoughts,
        prompt_audio_tokens=min(_audio(usage, "promptTokensDetails"), prompt),
        completion_audio_tokens=min(_audio(usage, "candidatesTokensDetails"), completion),
    )


def _count(fields: JsonObject, name: str) -> int:
    """A count of tokens; 0 where it is absent (as JSON of protobuf leaves zeros out) or rubbish."""
    value = fields.get(name)
    return value if type(value) is int and 0 < value <= MAX_TOKENS else 0


def _audio(usage: JsonObject, name: str) -> int:
    details = usage.get(name)
    return sum(
        _count(detail, "tokenCount")
        for detail in (details if isinstance(details, list) else ())
        if isinstance(detail, dict) and detail.get("modality") == "AUDIO"
    )

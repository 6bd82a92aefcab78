"""Read the token usage of Gemini's answers."""

from __future__ import annotations

from nexus_core.dialects.usage import read_count
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

# Of usageMetadata, all that is read; the details differ by modality.
_COUNTS = (
    "promptTokenCount",
    "toolUsePromptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
)
_DETAILS = ("promptTokensDetails", "candidatesTokensDetails")
USAGE_FIELDS = frozenset(_COUNTS + _DETAILS)


def read_usage(answer: JsonObject) -> TokenUsage | None:
    """Read the usage of an answer or a stream event; None without one.

    In a stream counts are cumulative, so the last one is valid. The total is the sum of all counts,
    so it shows omitted ones, and whether thoughts are counted within the candidates:
    https://github.com/BerriAI/litellm/pull/10141
    """
    usage = answer.get("usageMetadata")
    if not is_object(usage):
        return None
    prompt = _count(usage, "promptTokenCount") + _count(usage, "toolUsePromptTokenCount")
    if not prompt:  # there is none without a prompt, and unknown is never free
        return None
    thoughts = _count(usage, "thoughtsTokenCount")
    said = _count(usage, "candidatesTokenCount")
    made = _count(usage, "totalTokenCount") - prompt
    completion = said if made == said else max(said + thoughts, made)
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=min(_count(usage, "cachedContentTokenCount"), prompt),
        reasoning_tokens=min(thoughts, completion),
        prompt_audio_tokens=min(_audio(usage, "promptTokensDetails"), prompt),
        completion_audio_tokens=min(_audio(usage, "candidatesTokensDetails"), completion),
    )


def _count(fields: JsonObject, name: str) -> int:
    """A count of tokens; 0 where it is absent (protobuf's JSON leaves zeros out) or invalid."""
    return read_count(fields.get(name)) or 0


def _audio(usage: JsonObject, name: str) -> int:
    details = usage.get(name)
    return sum(
        _count(detail, "tokenCount")
        for detail in (details if is_list(details) else ())
        if is_object(detail) and detail.get("modality") == "AUDIO"
    )

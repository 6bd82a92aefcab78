"""Read reported usage in its most common form: OpenAI's, with counts that agree. Pure.

What is read here must agree with `usage`, which reads every form.
"""

from __future__ import annotations

import msgspec

from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonValue

MAX_TOKENS = 100_000_000  # limit of a reported count; more is invalid


class _PromptDetails(msgspec.Struct, forbid_unknown_fields=True):
    cached_tokens: int | None = None
    audio_tokens: int | None = None


class _CompletionDetails(msgspec.Struct, forbid_unknown_fields=True):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    accepted_prediction_tokens: int | None = None  # both are within the completion
    rejected_prediction_tokens: int | None = None


class PlainUsage(msgspec.Struct, forbid_unknown_fields=True):
    """A usage with these keys and no other: one more may change what they mean."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None

    def counts(self) -> TokenUsage | None:
        """The counts where none contradicts another, and one is above 0; None else."""
        prompt, completion = self.prompt_tokens, self.completion_tokens
        total = prompt + completion
        if not (0 <= prompt <= MAX_TOKENS and 0 <= completion <= MAX_TOKENS and total):
            return None
        if self.total_tokens != total and self.total_tokens is not None:
            return None
        of_prompt, of_completion = self.prompt_tokens_details, self.completion_tokens_details
        if of_prompt is None and of_completion is None:
            return TokenUsage(prompt_tokens=prompt, completion_tokens=completion)
        cached = heard = reasoning = spoken = 0
        if of_prompt is not None:
            cached, heard = of_prompt.cached_tokens or 0, of_prompt.audio_tokens or 0
        if of_completion is not None:
            reasoning, spoken = of_completion.reasoning_tokens or 0, of_completion.audio_tokens or 0
        if not (0 <= cached <= prompt and 0 <= heard <= prompt):
            return None
        if not (0 <= reasoning <= completion and 0 <= spoken <= completion):
            return None
        return TokenUsage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=cached,
            reasoning_tokens=reasoning,
            prompt_audio_tokens=heard,
            completion_audio_tokens=spoken,
        )


_KEYS = frozenset(PlainUsage.__struct_fields__)


def read_plain_usage(usage: JsonValue) -> TokenUsage | None:
    """The counts of a parsed usage in this form; None of any other."""
    if not isinstance(usage, dict) or not usage.keys() <= _KEYS:
        return None
    try:
        return msgspec.convert(usage, PlainUsage).counts()
    except msgspec.ValidationError:
        return None

"""Read reported usage: token counts and cost, in all shapes of OpenAI-compatible vendors.

The shape decides, never the vendor's name. Pure: no network, no clock.

Places, of which the first valid one counts: `usage`, `x_groq.usage` (Groq's streams),
`choices[].usage` (Kimi's streams; of several choices the completions add up), `meta` (Cohere),
Ollama's `prompt_eval_count` and `eval_count`, llama.cpp's `timings`. A usage whose counts are all
0 is a placeholder, and is ignored.

Rules for numbers that contradict each other:
1. A count is a whole number from 0 to MAX_TOKENS; 12.0 is valid, "12", true and -1 are not. An
   invalid prompt or completion makes the whole usage invalid; an invalid detail is left out.
2. `total_tokens` decides between ways of counting: reasoning may be within the completion
   (OpenAI) or beside it (xAI), and so may cached tokens and the prompt (OpenAI, Anthropic).
3. Where no way gives the total, or none is reported: reasoning is within the completion if it fits
   there; cached tokens are within the prompt if they fit there, but beside `input_tokens` where
   they go by Anthropic's names.
4. A total above both has billed tokens that no count names. They are reasoning (Gemini's OpenAI
   endpoint), or prompt where seconds of audio are reported (Mistral). A total below is ignored.
5. A detail never exceeds what it is part of.
6. The cost that a vendor reports is in US dollars, rounded to the nano-dollar.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

from msgspec.structs import replace

from nexus_core.dialects.plain_usage import MAX_TOKENS, read_plain_usage
from nexus_core.dialects.reported_cost import reported_nano_usd
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonValue, is_object

_LONG_BODY_ENDS = 8 * 1024  # bytes of a body too long to be parsed where its usage is looked for

_DECODER = json.JSONDecoder()
_USAGE_OBJECT = re.compile(r'"usage"\s*:\s*(?=\{)')

_PROMPT = ("prompt_tokens", "input_tokens")
_COMPLETION = ("completion_tokens", "output_tokens")
_COUNTS = (*_PROMPT, *_COMPLETION)
_PROMPT_DETAILS = ("prompt_tokens_details", "input_tokens_details", "prompt_token_details")
_COMPLETION_DETAILS = ("completion_tokens_details", "output_tokens_details")
_READ_IN_DETAILS = ("cached_tokens", "cache_read_tokens", "cache_read_input_tokens")
_READ = (
    *("cached_tokens", "prompt_cache_hit_tokens"),  # Kimi, DeepSeek
    *("cache_read_input_tokens", "num_cached_tokens"),  # Anthropic, Mistral
)
_WRITTEN_IN_DETAILS = (
    *("cache_write_tokens", "cache_creation_tokens"),  # OpenRouter, LiteLLM
    "cache_creation_input_tokens",  # Alibaba
)
_WRITTEN = ("cache_write_tokens", "cache_creation_input_tokens")
_BESIDE_INPUT = ("cache_read_input_tokens", "cache_creation_input_tokens")
_REASONING = ("reasoning_tokens", "thinking_tokens")
_AUDIO = ("audio_tokens",)


class _Rank(IntEnum):
    """Precedence of the places of a usage, where a stream reports it in several."""

    COUNTERS = 1  # of the server's own speed measurement
    CHOICE = 2
    USAGE = 3


class _Found(NamedTuple):
    rank: _Rank
    choice: int | None  # whose it is; None: the answer's
    usage: TokenUsage


def read_usage(fields: Mapping[str, JsonValue]) -> TokenUsage | None:
    """Read the usage of an answer or of one chunk; None where it has no valid one."""
    tally = UsageTally()
    tally.take(fields)
    return tally.usage


def find_usage(body: bytes) -> TokenUsage | None:
    """Find the usage at either end of a JSON object that is too long to be parsed.

    Text of the answer can't be mistaken for it: quotation marks within a JSON string are escaped.
    """
    start = body[:_LONG_BODY_ENDS]
    is_embedding = b'"embedding"' in start
    for part in (body[-_LONG_BODY_ENDS:], start):
        text = part.decode(errors="replace")
        for place in reversed([*_USAGE_OBJECT.finditer(text)]):
            try:
                usage, _ = _DECODER.raw_decode(text, place.end())
            except (ValueError, RecursionError):
                continue
            if found := _of_usage(usage, is_embedding=is_embedding):
                return found
    return None


class UsageTally:
    """The usage of a stream, chunk by chunk. A later one replaces an earlier one: they are totals.

    A count that is 0 in the later one is kept from the earlier: some vendors report the prompt at
    the start and only the completion at the end.
    """

    def __init__(self) -> None:
        self.usage: TokenUsage | None = None
        self._rank = _Rank.COUNTERS
        self._choices: dict[int, TokenUsage] = {}

    def take(self, fields: Mapping[str, JsonValue]) -> bool:
        """Add the usage that a chunk reports; False if it reports none."""
        if "choices" in fields and (plain := read_plain_usage(fields.get("usage"))):
            self._note(_Rank.USAGE, None, plain)
            return True
        is_reported = False
        for rank, choice, usage in _places(fields):
            if is_reported and rank is not _Rank.CHOICE:
                break  # the first place counts; only choices are several
            is_reported = True
            self._note(rank, choice, usage)
        return is_reported

    def _note(self, rank: _Rank, choice: int | None, usage: TokenUsage) -> None:
        if rank < self._rank:
            return
        before = self.usage if rank is self._rank else None
        if choice is not None:
            before = self._choices.get(choice)
        total = usage if before is None else _later(before, usage)
        if choice is not None:
            self._choices[choice] = total
            total = _added(self._choices.values())
        self._rank, self.usage = rank, total


def _places(fields: Mapping[str, JsonValue]) -> Iterator[_Found]:
    """Every place with a valid usage, by precedence."""
    is_embedding = "data" in fields and "choices" not in fields
    groq = fields.get("x_groq")
    for reported in (fields.get("usage"), groq.get("usage") if isinstance(groq, dict) else None):
        if usage := _of_usage(reported, is_embedding=is_embedding):
            yield _Found(_Rank.USAGE, None, usage)
    choices = fields.get("choices")
    for place, choice in enumerate(choices if isinstance(choices, list) else ()):
        if not isinstance(choice, dict):
            continue
        reported = choice.get("usage")
        if reported is not None and (usage := _of_usage(reported)):
            index = choice.get("index")
            yield _Found(_Rank.CHOICE, index if isinstance(index, int) else place, usage)
    if usage := _of_usage(fields.get("meta")):
        yield _Found(_Rank.USAGE, None, usage)
    if usage := _of_ollama(fields) or _of_timings(fields.get("timings")):
        yield _Found(_Rank.COUNTERS, None, usage)


def _later(before: TokenUsage, now: TokenUsage) -> TokenUsage:
    """Merge a later usage of the same answer into the earlier one."""
    if not now.prompt_tokens and before.prompt_tokens:
        now = replace(
            now,
            prompt_tokens=before.prompt_tokens,
            cached_tokens=before.cached_tokens,
            cache_write_tokens=before.cache_write_tokens,
            cache_write_1h_tokens=before.cache_write_1h_tokens,
            prompt_audio_tokens=before.prompt_audio_tokens,
        )
    if not now.completion_tokens and before.completion_tokens:
        now = replace(
            now,
            completion_tokens=before.completion_tokens,
            reasoning_tokens=before.reasoning_tokens,
            completion_audio_tokens=before.completion_audio_tokens,
        )
    if now.cost_nano_usd is None and before.cost_nano_usd is not None:
        same = replace(before, cost_nano_usd=None)
        return before if same == now else now  # else it is the cost of less than this
    return now


def _added(usages: Iterable[TokenUsage]) -> TokenUsage:
    """Sum of the choices' usages: they share the prompt, each has its own completion."""
    first, *others = usages
    for other in others:
        longer = max(first, other, key=lambda usage: usage.prompt_tokens)
        first = replace(
            longer,
            completion_tokens=first.completion_tokens + other.completion_tokens,
            reasoning_tokens=first.reasoning_tokens + other.reasoning_tokens,
            completion_audio_tokens=first.completion_audio_tokens + other.completion_audio_tokens,
            cost_nano_usd=None,
        )
    return first


# One usage ----------------------------------------------------------------------------------------


def _of_usage(usage: JsonValue, *, is_embedding: bool = False) -> TokenUsage | None:
    if not isinstance(usage, dict):
        return None
    if "prompt_tokens" not in usage and usage.keys().isdisjoint(_COUNTS):
        # Cohere: what is billed, else what was counted.
        for inner in (usage.get("billed_units"), usage.get("tokens")):
            if is_object(inner):
                return _of_usage(inner, is_embedding=is_embedding)
    try:
        found = _counted(usage, is_embedding=is_embedding)
    except ValueError:
        return None
    cost = reported_nano_usd(usage)
    if found is None or not (cost or found.prompt_tokens or found.completion_tokens):
        return None
    return found if cost is None else replace(found, cost_nano_usd=cost)


def _counted(usage: Mapping[str, JsonValue], *, is_embedding: bool) -> TokenUsage | None:
    """The counts, without the cost.

    Raises:
        ValueError: the prompt or the completion is no number of tokens.
    """
    total = _part(usage, ("total_tokens",)) or None
    prompt, completion = _whole(usage, _PROMPT), _whole(usage, _COMPLETION)
    if prompt is None:
        prompt = _prompt_of_rest(usage, completion, total, is_embedding=is_embedding)
    if prompt is None:
        return None
    if is_embedding:
        total = None  # some count there what is billed, and nothing is made
    if completion is None:
        completion = 0 if total is None else max(0, total - prompt)
    of_prompt = _details(usage, _PROMPT_DETAILS)
    of_completion = _details(usage, _COMPLETION_DETAILS)
    read = _part(of_prompt, _READ_IN_DETAILS) or _part(usage, _READ)
    written = _part(of_prompt, _WRITTEN_IN_DETAILS) or _part(usage, _WRITTEN)
    reasoning, completions = _completions(usage, of_completion, completion)
    prompts = _prompts(usage, prompt, read + written)
    prompt, completion = _by_total(prompts, completions, total)
    if total is not None and (hidden := total - prompt - completion) > 0:
        if usage.get("prompt_audio_seconds") is not None:
            prompt += hidden
        else:
            completion, reasoning = completion + hidden, reasoning + hidden
    if max(prompt, completion) > MAX_TOKENS:
        return None
    read = min(read, prompt)
    written = min(written, prompt - read)
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(written, _kept_for_an_hour(usage)) if written else 0,
        reasoning_tokens=min(reasoning, completion),
        prompt_audio_tokens=min(_part(of_prompt, _AUDIO), prompt),
        completion_audio_tokens=min(_part(of_completion, _AUDIO), completion),
    )


class _Ways(NamedTuple):
    """Possible values of a count: as reported, or with details added to it."""

    likely: int  # unless the total contradicts
    other: int


def _prompts(usage: Mapping[str, JsonValue], prompt: int, cached: int) -> _Ways:
    """Prompt counts with cached tokens within or beside it; rule 3."""
    by_anthropic = not usage.get("prompt_tokens") and any(name in usage for name in _BESIDE_INPUT)
    if by_anthropic or cached > prompt:
        return _Ways(prompt + cached, prompt)
    return _Ways(prompt, prompt + cached)


def _completions(
    usage: Mapping[str, JsonValue], details: Mapping[str, JsonValue], completion: int
) -> tuple[int, _Ways]:
    """Reasoning tokens, and completion counts with them within or beside it; rule 3."""
    within = _part(details, _REASONING)
    if within:
        ways = _Ways(completion, completion + within)
        return within, ways if within <= completion else _Ways(ways.other, ways.likely)
    reasoning = _part(usage, _REASONING)
    if reasoning <= completion:
        return reasoning, _Ways(completion, completion + reasoning)
    # Perplexity's total leaves it out: https://docs.perplexity.ai/docs/sonar/models
    return reasoning, _Ways(completion + reasoning, completion + reasoning)


def _by_total(prompts: _Ways, completions: _Ways, total: int | None) -> tuple[int, int]:
    for prompt in prompts:
        for completion in completions:
            if prompt + completion == total:
                return prompt, completion
    return prompts.likely, completions.likely


def _prompt_of_rest(
    usage: Mapping[str, JsonValue], completion: int | None, total: int | None, *, is_embedding: bool
) -> int | None:
    """The prompt's tokens from the total, where no count is reported; None without a total."""
    cache = ("prompt_cache_hit_tokens", "prompt_cache_miss_tokens")
    if "prompt_cache_miss_tokens" in usage:
        return sum(_part(usage, (name,)) for name in cache)
    if total is None:
        return None
    if completion is None:
        return total if is_embedding else None
    return max(0, total - completion)


def _kept_for_an_hour(usage: Mapping[str, JsonValue]) -> int:
    """Tokens written to the one-hour cache, which Anthropic bills higher."""
    return _part(_details(usage, ("cache_creation",)), ("ephemeral_1h_input_tokens",))


def _of_ollama(fields: Mapping[str, JsonValue]) -> TokenUsage | None:
    """https://docs.ollama.com/api/usage"""
    if "prompt_eval_count" not in fields and "eval_count" not in fields:
        return None
    return _plain(_part(fields, ("prompt_eval_count",)), _part(fields, ("eval_count",)))


def _of_timings(timings: JsonValue) -> TokenUsage | None:
    """https://github.com/ggml-org/llama.cpp/tree/master/tools/server: `prompt_n` is what was not
    in the cache."""
    if not isinstance(timings, dict):
        return None
    read = _part(timings, ("cache_n",))
    return _plain(_part(timings, ("prompt_n",)) + read, _part(timings, ("predicted_n",)), read)


def _plain(prompt: int, completion: int, cached: int = 0) -> TokenUsage | None:
    if not (prompt or completion):
        return None
    return TokenUsage(
        prompt_tokens=prompt, completion_tokens=completion, cached_tokens=min(cached, prompt)
    )


def _whole(usage: Mapping[str, JsonValue], names: Iterable[str]) -> int | None:
    """The first of these counts above 0, else 0; None where all are absent or null.

    Raises:
        ValueError: the first count reported is invalid.
    """
    found = None
    for name in names:
        reported = usage.get(name)
        if reported is None:
            continue
        found = read_count(reported)
        if found is None:
            raise ValueError(name)
        if found:
            return found
    return found


def _part(reported: Mapping[str, JsonValue], names: Iterable[str]) -> int:
    """The first valid count above 0 among these; 0 without one."""
    for name in names:
        if name in reported and (count := read_count(reported[name])):
            return count
    return 0


def _details(usage: Mapping[str, JsonValue], places: Iterable[str]) -> Mapping[str, JsonValue]:
    """The first of these keys with an object."""
    for place in places:
        details = usage.get(place)
        if isinstance(details, dict) and details:
            return details
    return {}


def read_count(reported: object) -> int | None:
    """A number of tokens, from 0 to MAX_TOKENS; 12.0 is one. None for anything else."""
    if reported is None:
        return None
    if isinstance(reported, float) and reported.is_integer():
        reported = int(reported) if abs(reported) <= MAX_TOKENS else -1
    if isinstance(reported, int) and not isinstance(reported, bool) and 0 <= reported <= MAX_TOKENS:
        return reported
    return None

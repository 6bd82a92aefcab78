"""Read whole answers in their most common form, in one typed decode. Pure.

Anything else, an error above all, is left to `answers`: what is read here must agree with that.
"""

from __future__ import annotations

import msgspec

from nexus_core.dialects.base.report import AnswerReading
from nexus_core.dialects.plain_usage import MAX_TOKENS, PlainUsage
from nexus_core.observe.events import TokenUsage
from nexus_core.types import Operation


class _Choice(msgspec.Struct):
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: PlainUsage | None = None
    service_tier: str | None = None


class _EmbeddingUsage(msgspec.Struct, forbid_unknown_fields=True):
    prompt_tokens: int
    total_tokens: int | None = None  # some count here what is billed


class _Embedding(msgspec.Struct):
    index: int
    finish_reason: None = None


class _Embeddings(msgspec.Struct):
    data: list[_Embedding]
    usage: _EmbeddingUsage | None = None
    service_tier: str | None = None
    choices: None = None


_decode_answer = msgspec.json.Decoder(_Answer).decode
_decode_embeddings = msgspec.json.Decoder(_Embeddings).decode


def read_plain_answer(
    operation: Operation, body: bytes, *, wants_usage: bool
) -> AnswerReading | None:
    """The usage and service tier of an answer in the common form; None in any other form."""
    try:
        if not body.isascii():
            body.decode()  # what is skipped below is not checked
        if operation is Operation.EMBEDDINGS:
            return _of_embeddings(_decode_embeddings(body), wants_usage=wants_usage)
        answer = _decode_answer(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    for choice in answer.choices:
        if choice.finish_reason is None or choice.finish_reason == "error":
            return None
    if not answer.choices:
        return None
    if not wants_usage:
        return AnswerReading(None, None, answer.service_tier)
    usage = None if answer.usage is None else answer.usage.counts()
    return None if usage is None else AnswerReading(None, usage, answer.service_tier)


def _of_embeddings(answer: _Embeddings, *, wants_usage: bool) -> AnswerReading | None:
    if not answer.data:
        return None
    if not wants_usage:
        return AnswerReading(None, None, answer.service_tier)
    usage = answer.usage
    if usage is None or not 0 < usage.prompt_tokens <= MAX_TOKENS:
        return None
    counts = TokenUsage(prompt_tokens=usage.prompt_tokens, completion_tokens=0)
    return AnswerReading(None, counts, answer.service_tier)

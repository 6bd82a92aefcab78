"""Build OpenAI answers for translators: completions, chunks, usage and error envelopes."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class AnswerHead(msgspec.Struct, frozen=True):
    """Id, time and model: once in a completion, repeated in every chunk of a stream."""

    id: str
    model: str
    created: int  # seconds since the epoch


def completion(
    head: AnswerHead, choices: list[JsonObject], usage: TokenUsage | None = None
) -> JsonObject:
    """Build a chat.completion."""
    answer: JsonObject = {
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": head.model,
        "choices": choices,
    }
    if usage is not None:
        answer["usage"] = usage_fields(usage)
    return answer


def choice(
    message: JsonObject,
    finish_reason: FinishReason,
    *,
    index: int = 0,
    logprobs: JsonObject | None = None,
) -> JsonObject:
    """One of a completion's choices; `message` is made by `assistant_message`."""
    return {
        "index": index,
        "message": message,
        "finish_reason": finish_reason,
        "logprobs": logprobs,
    }


def assistant_message(
    content: str | None,
    *,
    refusal: str | None = None,
    reasoning: str | None = None,
    tool_calls: list[JsonObject] | None = None,
    annotations: list[JsonObject] | None = None,
) -> JsonObject:
    """Build a choice's message: `content` and `refusal` always, other fields unless empty.

    `reasoning` becomes `reasoning_content`, where most clients read thinking.
    """
    message: JsonObject = {"role": "assistant", "content": content, "refusal": refusal}
    if reasoning:
        message["reasoning_content"] = reasoning
    if tool_calls:
        message["tool_calls"] = tool_calls
    if annotations:
        message["annotations"] = annotations
    return message


def tool_call(
    call_id: str, name: str, arguments: str, *, extra_content: JsonObject | None = None
) -> JsonObject:
    """Build one of a message's tool calls; clients send `extra_content` back unchanged."""
    call: JsonObject = {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    if extra_content:
        call["extra_content"] = extra_content
    return call


def url_citation(url: str, title: str, start: int, end: int) -> JsonObject:
    """Build a URL citation; `start` and `end` are characters of the message's content."""
    citation = {"url": url, "title": title, "start_index": start, "end_index": end}
    return {"type": "url_citation", "url_citation": citation}


def chunk(
    head: AnswerHead,
    delta: JsonObject,
    finish_reason: FinishReason | None = None,
    *,
    index: int = 0,
    logprobs: JsonObject | None = None,
) -> JsonObject:
    """Build one chunk of a stream; the first one's delta carries `role`."""
    return _chunk(
        head,
        [{"index": index, "delta": delta, "finish_reason": finish_reason, "logprobs": logprobs}],
    )


def usage_chunk(head: AnswerHead, usage: TokenUsage) -> JsonObject:
    """The last chunk of a stream whose client asked for usage; it has no choices."""
    return {**_chunk(head, []), "usage": usage_fields(usage)}


def _chunk(head: AnswerHead, choices: list[JsonObject]) -> JsonObject:
    return {
        "id": head.id,
        "object": "chat.completion.chunk",
        "created": head.created,
        "model": head.model,
        "choices": choices,
    }


def tool_call_start(
    index: int, call_id: str, name: str, *, extra_content: JsonObject | None = None
) -> JsonObject:
    """A delta's first piece of a call: clients join pieces, so id and name come only here."""
    return {"index": index, **tool_call(call_id, name, "", extra_content=extra_content)}


def tool_call_arguments(index: int, arguments: str) -> JsonObject:
    """A delta's further piece of the call with that index."""
    return {"index": index, "function": {"arguments": arguments}}


def usage_fields(usage: TokenUsage) -> JsonObject:
    """OpenAI's `usage`."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "audio_tokens": usage.prompt_audio_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.completion_audio_tokens,
        },
    }


def error_envelope(
    message: str, kind: str, *, code: str | int | None = None, param: str | None = None
) -> JsonObject:
    """OpenAI's error body; `kind` is the error's `type`."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}

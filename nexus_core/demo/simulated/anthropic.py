"""A simulated Anthropic API, server side, with its most common errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import assert_never

from nexus_core.demo.simulated.answers import (
    Answer,
    Asked,
    Embeddable,
    Ending,
    Part,
    Tool,
    sign,
)
from nexus_core.demo.simulated.wire import (
    RETRY_SECONDS,
    BadRequestError,
    ErrorAnswer,
    Incoming,
    Kind,
    Listing,
    Problem,
)
from nexus_core.types import JsonObject

PAGE = 20  # models in a page, unless the query says otherwise

_STOP_REASONS = {
    Ending.DONE: "end_turn",
    Ending.CALLS: "tool_use",
    Ending.LIMIT: "max_tokens",
    Ending.DECLINED: "refusal",
}
_DECLINED = {
    "type": "refusal",
    "category": "cyber",
    "explanation": "The model does not want to answer.",
}
_ERRORS = {
    Problem.BAD_REQUEST: (400, "invalid_request_error"),
    Problem.WRONG_KEY: (401, "authentication_error"),
    Problem.NO_SUCH_MODEL: (404, "not_found_error"),
    Problem.BUSY: (429, "rate_limit_error"),
    Problem.OVERLOADED: (529, "overloaded_error"),
}
_FIELDS = frozenset(
    {
        "model", "max_tokens", "messages", "system", "stream", "tools", "tool_choice", "thinking",
        "output_config", "temperature", "top_p", "top_k", "stop_sequences", "metadata",
        "cache_control", "service_tier", "context_management",
    }
)  # fmt: skip


def _models(models: tuple[str, ...], query: Mapping[str, str]) -> JsonObject:
    after, size = query.get("after_id"), int(query.get("limit", PAGE))
    start = models.index(after) + 1 if after in models else 0
    page = models[start : start + size]
    listed = [
        {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": "2026-01-01T00:00:00Z",
        }
        for name in page
    ]
    return {
        "data": listed,
        "has_more": start + size < len(models),
        "first_id": page[0] if page else None,
        "last_id": page[-1] if page else None,
    }


class AnthropicFormat:
    """POST /v1/messages, and the list of models."""

    posts: Mapping[str, Kind] = {"/v1/messages": Kind.CHAT}
    gets: Mapping[str, Listing] = {"/v1/models": _models}
    free: Mapping[str, Listing] = {}

    def presents(self, key: str, headers: Mapping[str, str]) -> bool:
        """In a header of its own, or as Anthropic's own client has it."""
        return headers.get("x-api-key") == key or headers.get("Authorization") == f"Bearer {key}"

    def read(self, incoming: Incoming) -> Asked:
        """A message; refused where the real one would be."""
        body = incoming.body
        if "anthropic-version" not in incoming.headers:
            raise BadRequestError("anthropic-version: header is required")
        for name in body.keys() - _FIELDS:
            raise BadRequestError(f"{name}: Extra inputs are not permitted")
        thinking = _object(body, "thinking").get("type")
        turns = [_blocks(message) for message in body["messages"]]
        _check_limits(body)
        _check_tools(turns)
        _check_thinking(turns, is_wanted=thinking == "enabled")
        format_ = _object(body, "output_config").get("format")
        return Asked(
            model=str(body["model"]),
            prompt=[body.get("system"), body["messages"]],
            tools=_called_tools(body, turns[-1]),
            schema=format_["schema"] if format_ else None,
            limit=body["max_tokens"],
            thinks=thinking in {"enabled", "adaptive"},
            is_streaming=bool(body.get("stream")),
        )

    def read_embeddable(self, incoming: Incoming) -> Embeddable:
        """Anthropic has no embeddings."""
        raise BadRequestError("there are no embeddings")

    def whole(self, answer: Answer, incoming: Incoming) -> JsonObject:
        """One message."""
        content = [_block(answer, index, part) for index, part in enumerate(answer.parts)]
        cached = _cached_tokens(answer, incoming.body)
        return _message(answer, content, _STOP_REASONS[answer.ending]) | {
            "stop_details": _DECLINED if answer.ending is Ending.DECLINED else None,
            "usage": _usage(answer, answer.tokens, cached),
        }

    def events(self, answer: Answer, incoming: Incoming) -> Iterator[bytes]:
        """From message_start to message_stop, a ping on the way."""
        cached = _cached_tokens(answer, incoming.body)
        begun = _message(answer, [], None) | {"usage": _usage(answer, 1, cached)}
        yield _event("message_start", message=begun)
        yield _event("ping")
        for index, part in enumerate(answer.parts):
            block = _block(answer, index, part)
            yield _event("content_block_start", index=index, content_block=_empty(block))
            for delta in _deltas(block, part):
                yield _event("content_block_delta", index=index, delta=delta)
            yield _event("content_block_stop", index=index)
        declined = answer.ending is Ending.DECLINED
        outcome = {
            "stop_reason": _STOP_REASONS[answer.ending],
            "stop_sequence": None,
            "stop_details": _DECLINED if declined else None,
        }
        usage = {"output_tokens": answer.tokens} | _details(answer)
        yield _event("message_delta", delta=outcome, usage=usage)
        yield _event("message_stop")

    def embeddings(self, vectors: list[list[float]], tokens: int, incoming: Incoming) -> JsonObject:
        """Anthropic has no embeddings."""
        raise BadRequestError("there are no embeddings")

    def error(self, problem: Problem, message: str) -> ErrorAnswer:
        """Anthropic's error object."""
        status, kind = _ERRORS[problem]
        if problem is Problem.WRONG_KEY:
            message = "invalid x-api-key"
        if problem is Problem.NO_SUCH_MODEL:
            message = f"model: {message}"
        headers = {"Retry-After": str(RETRY_SECONDS)} if problem is Problem.BUSY else {}
        return ErrorAnswer(status, _error(kind, message), headers)

    def error_event(self, problem: Problem, message: str) -> bytes:
        """The same after a 200."""
        return _event("error", error={"type": _ERRORS[problem][1], "message": message})


def _error(kind: str, message: str) -> JsonObject:
    error = {"type": kind, "message": message}
    return {"type": "error", "error": error, "request_id": "req_demo"}


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _message(answer: Answer, content: list[JsonObject], stop_reason: str | None) -> JsonObject:
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
    }


def _block(answer: Answer, index: int, part: Part) -> JsonObject:
    match part.kind:
        case "thinking":
            return {"type": "thinking", "thinking": part.text, "signature": sign(part.text)}
        case "text":
            return {"type": "text", "text": part.text, "citations": None}
        case "call":
            use = {"type": "tool_use", "id": f"toolu_{answer.id}{index}", "name": part.name}
            return use | {"input": part.arguments}
        case _:
            assert_never(part.kind)


def _empty(block: JsonObject) -> JsonObject:
    """The block as it begins."""
    match block["type"]:
        case "thinking":
            return block | {"thinking": "", "signature": ""}
        case "text":
            return block | {"text": ""}
        case _:
            return block | {"input": {}}


def _deltas(block: JsonObject, part: Part) -> Iterator[JsonObject]:
    match part.kind:
        case "thinking":
            for piece in part.pieces:
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "text":
            for piece in part.pieces:
                yield {"type": "text_delta", "text": piece}
        case "call":
            for piece in ("", *part.pieces):
                yield {"type": "input_json_delta", "partial_json": piece}
        case _:
            assert_never(part.kind)


def _cached_tokens(answer: Answer, body: JsonObject) -> int:
    """Of a prompt that is marked to be cached: all but what its last turn added, where it has one.

    https://platform.claude.com/docs/en/build-with-claude/prompt-caching
    """
    turns = len(body["messages"])
    is_marked = turns > 1 and "cache_control" in json.dumps([body.get("system"), body["messages"]])
    return answer.prompt_tokens * (turns - 1) // turns if is_marked else 0


def _usage(answer: Answer, output_tokens: int, cached: int) -> JsonObject:
    return {
        "input_tokens": answer.prompt_tokens - cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": output_tokens,
    } | _details(answer)


def _details(answer: Answer) -> JsonObject:
    return {"output_tokens_details": {"thinking_tokens": answer.thinking_tokens}}


# What is refused -----------------------------------------------------------------------------


def _object(body: JsonObject, name: str) -> JsonObject:
    """A field that holds an object, or may be absent."""
    return body.get(name) or {}


def _blocks(message: JsonObject) -> list[JsonObject]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _check_limits(body: JsonObject) -> None:
    limit = body.get("max_tokens")
    if not isinstance(limit, int) or limit < 1:
        raise BadRequestError("max_tokens: Field required")
    if not body["messages"]:
        raise BadRequestError("messages: at least one message is required")
    budget = _object(body, "thinking").get("budget_tokens")
    if budget is not None and not 1024 <= budget < limit:
        raise BadRequestError("thinking.budget_tokens: out of range")


def _check_tools(turns: list[list[JsonObject]]) -> None:
    """All results of a turn's calls come first in the very next turn, and no others."""
    wanted: set[object] = set()
    for number, blocks in enumerate(turns):
        kinds = [block["type"] for block in blocks]
        given = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if given != wanted:
            raise BadRequestError(
                f"messages.{number}: `tool_use` ids were found without `tool_result` blocks "
                "immediately after, or the other way round"
            )
        if any(kind != "tool_result" for kind in kinds[: len(given)]):
            raise BadRequestError(f"messages.{number}: `tool_result` blocks must come first")
        wanted = {block["id"] for block in blocks if block["type"] == "tool_use"}


def _check_thinking(turns: list[list[JsonObject]], *, is_wanted: bool) -> None:
    """Thinking that comes back is what was given, and opens the turn whose tools go on."""
    for number, blocks in enumerate(turns):
        for index, block in enumerate(blocks):
            if block["type"] == "thinking" and block["signature"] != sign(block["thinking"]):
                place = f"messages.{number}.content.{index}"
                raise BadRequestError(f"{place}: Invalid `signature` in `thinking` block")
    goes_on = bool(turns) and any(block["type"] == "tool_result" for block in turns[-1])
    if is_wanted and goes_on and turns[-2][0]["type"] not in {"thinking", "redacted_thinking"}:
        raise BadRequestError(
            f"messages.{len(turns) - 2}.content.0.type: Expected `thinking` or "
            f"`redacted_thinking`, but found `{turns[-2][0]['type']}`"
        )


def _called_tools(body: JsonObject, last: list[JsonObject]) -> tuple[Tool, ...]:
    """Those on offer; none once results have come back, or when told not to."""
    choice = _object(body, "tool_choice")
    tools = body.get("tools") or ()
    if choice and not tools:
        raise BadRequestError("tool_choice may only be specified while providing tools")
    if choice.get("type") == "none" or any(block["type"] == "tool_result" for block in last):
        return ()
    if choice.get("type") == "tool":
        tools = [tool for tool in tools if tool["name"] == choice["name"]]
    called = tuple(Tool(str(tool["name"]), tool["input_schema"]) for tool in tools)
    return called[:1] if choice.get("disable_parallel_tool_use") else called

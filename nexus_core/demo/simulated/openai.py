"""A simulated OpenAI API, server side, and the differences of Ollama's embeddings."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from nexus_core.demo.simulated.answers import Answer, Asked, Embeddable, Ending, Part, Tool
from nexus_core.demo.simulated.wire import (
    RETRY_SECONDS,
    BadRequestError,
    ErrorAnswer,
    Incoming,
    Kind,
    Listing,
    Problem,
)
from nexus_core.types import JsonObject, is_list, is_object

_FINISH_REASONS = {
    Ending.DONE: "stop",
    Ending.CALLS: "tool_calls",
    Ending.LIMIT: "length",
    Ending.DECLINED: "content_filter",
}


def _models(models: tuple[str, ...], _query: Mapping[str, str]) -> JsonObject:
    listed = [{"id": m, "object": "model", "created": 0, "owned_by": "demo"} for m in models]
    return {"object": "list", "data": listed}


def _tags(models: tuple[str, ...], _query: Mapping[str, str]) -> JsonObject:
    return {"models": [{"name": name} for name in models]}


def _health(_models: tuple[str, ...], _query: Mapping[str, str]) -> JsonObject:
    return {"status": "ok"}


class OpenAIFormat:
    """`embeds_floats_only`: embeddings as Ollama has them, without tokens and base64."""

    posts: Mapping[str, Kind] = {
        "/v1/chat/completions": Kind.CHAT,
        "/v1/completions": Kind.COMPLETION,
        "/v1/embeddings": Kind.EMBEDDINGS,
    }
    gets: Mapping[str, Listing] = {"/v1/models": _models}
    free: Mapping[str, Listing] = {"/api/tags": _tags, "/health": _health}

    def __init__(self, *, embeds_floats_only: bool = False) -> None:
        self._embeds_floats_only = embeds_floats_only

    def presents(self, key: str, headers: Mapping[str, str]) -> bool:
        """In the Authorization header."""
        return headers.get("Authorization") == f"Bearer {key}"

    def read(self, incoming: Incoming) -> Asked:
        """A chat or an older completion."""
        body = incoming.body
        is_chat = incoming.kind is Kind.CHAT
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        format_: JsonObject = body.get("response_format") or {}
        return Asked(
            model=str(body["model"]),
            prompt=body["messages"] if is_chat else body["prompt"],
            tools=_called_tools(body) if is_chat else (),
            schema=format_["json_schema"]["schema"] if "json_schema" in format_ else None,
            limit=limit if isinstance(limit, int) else None,
            is_streaming=bool(body.get("stream")),
        )

    def read_embeddable(self, incoming: Incoming) -> Embeddable:
        """Texts or lists of tokens, one or several."""
        body = incoming.body
        given = body["input"]
        several: list[object] = given if is_list(given) and not _is_tokens(given) else [given]
        if not given or len({type(each) for each in several}) > 1:
            raise BadRequestError("input: a text, a list of texts or lists of tokens is required")
        if self._embeds_floats_only and not all(isinstance(each, str) for each in several):
            raise BadRequestError("invalid input type")
        inputs = tuple(each if isinstance(each, str) else json.dumps(each) for each in several)
        return Embeddable(
            model=str(body["model"]), inputs=inputs, dimensions=body.get("dimensions")
        )

    def whole(self, answer: Answer, incoming: Incoming) -> JsonObject:
        """One `chat.completion` or `text_completion`."""
        reason = _FINISH_REASONS[answer.ending]
        choice: JsonObject = {"index": 0, "finish_reason": reason, "logprobs": None}
        if incoming.kind is Kind.COMPLETION:
            choice["text"] = answer.text
            kind = "text_completion"
        else:
            choice["message"] = _message(answer)
            kind = "chat.completion"
        return _envelope(answer, kind) | {"choices": [choice], "usage": _usage(answer)}

    def events(self, answer: Answer, incoming: Incoming) -> Iterator[bytes]:
        """Chunks: role or call first, one piece each, then the reason; `[DONE]`."""
        reason = _FINISH_REASONS[answer.ending]
        choices: list[JsonObject]
        if incoming.kind is Kind.COMPLETION:
            envelope = _envelope(answer, "text_completion")
            choices = [{"text": text, "finish_reason": None} for text in _texts(answer)]
            choices.append({"text": "", "finish_reason": reason})
        else:
            envelope = _envelope(answer, "chat.completion.chunk")
            choices = [{"delta": delta, "finish_reason": None} for delta in _deltas(answer)]
            choices.append({"delta": {}, "finish_reason": reason})
        for choice in choices:
            yield _event(envelope | {"choices": [{"index": 0, "logprobs": None} | choice]})
        options: JsonObject = incoming.body.get("stream_options") or {}
        if options.get("include_usage"):
            yield _event(envelope | {"choices": [], "usage": _usage(answer)})
        yield b"data: [DONE]\n\n"

    def embeddings(self, vectors: list[list[float]], tokens: int, incoming: Incoming) -> JsonObject:
        """A list of embeddings; as base64 where that is asked for and known."""
        as_base64 = incoming.body.get("encoding_format") == "base64"
        encode = _as_base64 if as_base64 and not self._embeds_floats_only else list
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": encode(vector)}
                for index, vector in enumerate(vectors)
            ],
            "model": incoming.body["model"],
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def error(self, problem: Problem, message: str) -> ErrorAnswer:
        """OpenAI's envelope."""
        match problem:
            case Problem.BAD_REQUEST:
                return ErrorAnswer(400, _error(message, "invalid_request_error"))
            case Problem.WRONG_KEY:
                words = "Incorrect API key provided."
                return ErrorAnswer(401, _error(words, "invalid_request_error", "invalid_api_key"))
            case Problem.NO_SUCH_MODEL:
                words = f"The model `{message}` does not exist."
                return ErrorAnswer(404, _error(words, "invalid_request_error", "model_not_found"))
            case Problem.BUSY:
                wait = {"Retry-After": str(RETRY_SECONDS)}
                return ErrorAnswer(429, _error(message, "rate_limit_error"), wait)
            case Problem.OVERLOADED:
                return ErrorAnswer(503, _error(message, "server_error"))
            case _:
                assert_never(problem)

    def error_event(self, problem: Problem, message: str) -> bytes:
        """The same envelope as an event."""
        return _event(self.error(problem, message).body)


def _error(message: str, kind: str, code: str | None = None) -> JsonObject:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _event(data: JsonObject) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _envelope(answer: Answer, kind: str) -> JsonObject:
    prefix = "cmpl" if kind == "text_completion" else "chatcmpl"
    return {
        "id": f"{prefix}-{answer.id}",
        "object": kind,
        "created": answer.created,
        "model": answer.model,
    }


def _usage(answer: Answer) -> JsonObject:
    return {
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.tokens,
        "total_tokens": answer.prompt_tokens + answer.tokens,
    }


def _message(answer: Answer) -> JsonObject:
    message: JsonObject = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.ending is Ending.DECLINED:
        message["refusal"] = "The model does not want to answer."
    if answer.calls:
        message["tool_calls"] = [
            _call(answer, index, part, part.text or "{}") for index, part in enumerate(answer.calls)
        ]
    return message


def _call(answer: Answer, index: int, part: Part, arguments: str) -> JsonObject:
    function = {"name": part.name, "arguments": arguments}
    return {"id": f"call_{answer.id}{index}", "type": "function", "function": function}


def _texts(answer: Answer) -> Iterator[str]:
    return (piece for part in answer.parts if part.kind == "text" for piece in part.pieces)


def _deltas(answer: Answer) -> Iterator[JsonObject]:
    yield {"role": "assistant", "content": None if answer.calls else ""}
    if answer.ending is Ending.DECLINED:
        yield {"refusal": "The model does not want to answer."}
    for piece in _texts(answer):
        yield {"content": piece}
    for index, part in enumerate(answer.calls):
        yield {"tool_calls": [{"index": index} | _call(answer, index, part, "")]}
        for piece in part.pieces or ("{}",):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _called_tools(body: Mapping[str, Any]) -> tuple[Tool, ...]:
    """Those on offer; none once results have come back, or when told not to."""
    choice = body.get("tool_choice")
    if choice == "none" or body["messages"][-1].get("role") == "tool":
        return ()
    functions = [tool["function"] for tool in body.get("tools") or ()]
    if is_object(choice):
        functions = [f for f in functions if f["name"] == choice["function"]["name"]]
    tools = tuple(Tool(str(f["name"]), f.get("parameters") or {}) for f in functions)
    return tools[:1] if body.get("parallel_tool_calls") is False else tools


def _is_tokens(given: list[object]) -> bool:
    return bool(given) and all(isinstance(each, int) for each in given)


def _as_base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

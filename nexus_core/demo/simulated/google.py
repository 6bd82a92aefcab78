"""A simulated Gemini API, server side, with its most common errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

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
from nexus_core.types import JsonObject, is_list, is_object

PAGE = 50  # models in a page, unless the query says otherwise
DUMMY = "skip_thought_signature_validator"  # documented for calls that another model made

_SIGNING = "gemini-3"  # models from here on sign their calls, want that back, and give ids
_EMBEDDING = "embedding"  # in the name of a model that does nothing else
_FINISH_REASONS = {Ending.DONE: "STOP", Ending.CALLS: "STOP", Ending.LIMIT: "MAX_TOKENS"}
_ERRORS = {
    Problem.BAD_REQUEST: (400, "INVALID_ARGUMENT"),
    Problem.WRONG_KEY: (400, "INVALID_ARGUMENT"),
    Problem.NO_SUCH_MODEL: (404, "NOT_FOUND"),
    Problem.BUSY: (429, "RESOURCE_EXHAUSTED"),
    Problem.OVERLOADED: (503, "UNAVAILABLE"),
}
_SNAKE = re.compile(r"_([a-z])")
_STANDARD = str.maketrans("-_", "+/")
_FREE_FORM = frozenset({"args", "response", "parametersJsonSchema", "responseJsonSchema"})
_RPC = "type.googleapis.com/google.rpc."
_DETAILS: dict[Problem, JsonObject] = {
    Problem.WRONG_KEY: {
        "@type": f"{_RPC}ErrorInfo",
        "reason": "API_KEY_INVALID",
        "domain": "googleapis.com",
    },
    Problem.BUSY: {"@type": f"{_RPC}RetryInfo", "retryDelay": f"{RETRY_SECONDS}s"},
}


def _models(models: tuple[str, ...], query: Mapping[str, str]) -> JsonObject:
    start, size = int(query.get("pageToken", 0)), int(query.get("pageSize", PAGE))
    listed = [
        {"name": f"models/{name}", "supportedGenerationMethods": [_method(name)]}
        for name in models[start : start + size]
    ]
    more = start + size < len(models)
    return {"models": listed} | ({"nextPageToken": str(start + size)} if more else {})


def _method(model: str) -> str:
    return "embedContent" if _EMBEDDING in model else "generateContent"


class GoogleFormat:
    """The methods of a model, and the list of models. Streams only as events (alt=sse)."""

    posts: Mapping[str, Kind] = {
        "/v1beta/models/{model}:generateContent": Kind.CHAT,
        "/v1beta/models/{model}:streamGenerateContent": Kind.CHAT_STREAM,
        "/v1beta/models/{model}:batchEmbedContents": Kind.EMBEDDINGS,
    }
    gets: Mapping[str, Listing] = {"/v1beta/models": _models}
    free: Mapping[str, Listing] = {}

    def presents(self, key: str, headers: Mapping[str, str]) -> bool:
        """In a header of its own."""
        return headers.get("x-goog-api-key") == key

    def read(self, incoming: Incoming) -> Asked:
        """Contents to go on with; refused where the real ones would be."""
        body, model = _camel(incoming.body), incoming.model or ""
        is_streaming = incoming.kind is Kind.CHAT_STREAM
        if is_streaming and incoming.query.get("alt") != "sse":
            raise BadRequestError("this simulation streams with alt=sse only")
        contents = body["contents"]
        if not contents:
            raise BadRequestError("* GenerateContentRequest.contents: contents is not specified")
        _check_calls(contents)
        _check_signatures(contents, is_demanded=model.startswith(_SIGNING))
        config: JsonObject = body.get("generationConfig") or {}
        thinking: JsonObject = config.get("thinkingConfig") or {}
        return Asked(
            model=model,
            prompt=[body.get("systemInstruction"), contents],
            tools=_called_tools(body, contents[-1]["parts"]),
            schema=config.get("responseJsonSchema") or config.get("responseSchema"),
            limit=config.get("maxOutputTokens"),
            thinks=bool(thinking.get("includeThoughts")),
            is_streaming=is_streaming,
        )

    def read_embeddable(self, incoming: Incoming) -> Embeddable:
        """Texts, each in a request that names the model again."""
        model, requests = incoming.model or "", _camel(incoming.body)["requests"]
        for request in requests:
            if request["model"] != f"models/{model}":
                raise BadRequestError("a request of the batch names another model")
        return Embeddable(
            model=model,
            inputs=tuple(
                "".join(p["text"] for p in request["content"]["parts"]) for request in requests
            ),
            dimensions=requests[0].get("outputDimensionality"),
        )

    def whole(self, answer: Answer, incoming: Incoming) -> JsonObject:
        """One GenerateContentResponse."""
        if answer.ending is Ending.DECLINED:
            return _blocked(answer)
        parts = [_part(answer, index, part) for index, part in enumerate(answer.parts)]
        if _signs_text(answer):
            parts[-1]["thoughtSignature"] = sign(answer.text)
        return _response(answer, parts, answer.tokens, _FINISH_REASONS[answer.ending])

    def events(self, answer: Answer, incoming: Incoming) -> Iterator[bytes]:
        """Text piece by piece, calls whole; the reason and the text's signature at the end."""
        if answer.ending is Ending.DECLINED:
            yield _event(_blocked(answer))
            return
        tokens = 0
        for index, part in enumerate(answer.parts):
            if part.kind == "call":
                tokens += len(part.pieces)
                yield _event(_response(answer, [_part(answer, index, part)], tokens))
                continue
            for piece in part.pieces:
                tokens += 1
                yield _event(_response(answer, [_said(part, piece)], tokens))
        last: JsonObject = {"text": ""}
        if _signs_text(answer):
            last["thoughtSignature"] = sign(answer.text)
        yield _event(_response(answer, [last], tokens, _FINISH_REASONS[answer.ending]))

    def embeddings(self, vectors: list[list[float]], tokens: int, incoming: Incoming) -> JsonObject:
        """The vectors alone: Gemini counts no tokens here."""
        return {"embeddings": [{"values": vector} for vector in vectors]}

    def error(self, problem: Problem, message: str) -> ErrorAnswer:
        """A google.rpc.Status."""
        status, kind = _ERRORS[problem]
        if problem is Problem.WRONG_KEY:
            message = "API key not valid. Please pass a valid API key."
        if problem is Problem.NO_SUCH_MODEL:
            message = f"models/{message} is not found for API version v1beta"
        error: JsonObject = {"code": status, "message": message, "status": kind}
        if problem in _DETAILS:
            error["details"] = [_DETAILS[problem]]
        return ErrorAnswer(status, {"error": error})

    def error_event(self, problem: Problem, message: str) -> bytes:
        """The same as an event."""
        return _event(self.error(problem, message).body)


def _event(data: JsonObject) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\r\n\r\n"


def _response(
    answer: Answer, parts: list[JsonObject], tokens: int, reason: str | None = None
) -> JsonObject:
    candidate: JsonObject = {"content": {"role": "model", "parts": parts}, "index": 0}
    if reason is not None:
        candidate["finishReason"] = reason
    return {
        "candidates": [candidate],
        "usageMetadata": _usage(answer, tokens),
        "modelVersion": answer.model,
        "responseId": answer.id,
    }


def _blocked(answer: Answer) -> JsonObject:
    return {
        "promptFeedback": {"blockReason": "SAFETY"},
        "usageMetadata": _usage(answer, 0),
        "modelVersion": answer.model,
        "responseId": answer.id,
    }


def _usage(answer: Answer, tokens: int) -> JsonObject:
    """Counts up to here. As in all JSON of protobuf, zeros are left out."""
    thoughts = min(tokens, answer.thinking_tokens)
    counts = {
        "promptTokenCount": answer.prompt_tokens,
        "candidatesTokenCount": tokens - thoughts,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": answer.prompt_tokens + tokens,
    }
    return {name: count for name, count in counts.items() if count}


def _said(part: Part, text: str) -> JsonObject:
    return {"text": text, "thought": True} if part.kind == "thinking" else {"text": text}


def _part(answer: Answer, index: int, part: Part) -> JsonObject:
    if part.kind != "call":
        return _said(part, part.text)
    call: JsonObject = {"name": part.name}
    if part.arguments:
        call["args"] = part.arguments
    if not answer.model.startswith(_SIGNING):
        return {"functionCall": call}
    signed: JsonObject = {"functionCall": call | {"id": f"{answer.id}{index}"}}
    if part is answer.calls[0]:  # of parallel calls only the first bears one
        signed["thoughtSignature"] = sign(part.name, part.arguments)
    return signed


def _signs_text(answer: Answer) -> bool:
    return answer.model.startswith(_SIGNING) and bool(answer.text)


def _camel(value: Any) -> Any:
    """JSON of protobuf with its names in camelCase: either form may come."""
    if is_list(value):
        return [_camel(each) for each in value]
    if not is_object(value):
        return value
    named = {_SNAKE.sub(lambda found: found[1].upper(), name): each for name, each in value.items()}
    return {name: each if name in _FREE_FORM else _camel(each) for name, each in named.items()}


# What is refused -----------------------------------------------------------------------------


def _check_calls(contents: list[JsonObject]) -> None:
    """As many results as calls, of the same functions, in the very next turn."""
    nothing: JsonObject = {"parts": []}
    for turn, following in zip(contents, [*contents[1:], nothing], strict=True):
        calls = [part["functionCall"]["name"] for part in turn["parts"] if "functionCall" in part]
        results = [
            part["functionResponse"]["name"]
            for part in following["parts"]
            if "functionResponse" in part
        ]
        if sorted(calls) != sorted(results):
            raise BadRequestError(
                "Please ensure that the number of function response parts is equal to the number "
                "of function call parts of the function call turn."
            )


def _check_signatures(contents: list[JsonObject], *, is_demanded: bool) -> None:
    """Signatures that come back are those that were given; the current turn's calls need theirs."""
    current = max((at for at, turn in enumerate(contents) if _is_asked(turn)), default=0)
    for at, turn in enumerate(contents):
        text = "".join(p.get("text", "") for p in turn["parts"] if not p.get("thought"))
        for part in turn["parts"]:
            given = part.get("thoughtSignature", DUMMY)
            # Bytes in JSON of protobuf: base64 of either alphabet.
            if given != DUMMY and given.translate(_STANDARD) != _signature_of(part, text):
                raise BadRequestError("Thought signature is not valid.")
        calls = [part for part in turn["parts"] if "functionCall" in part]
        if is_demanded and at > current and calls and "thoughtSignature" not in calls[0]:
            raise BadRequestError(
                "Function call is missing a thought_signature in functionCall parts."
            )


def _is_asked(turn: JsonObject) -> bool:
    """Whether somebody says something, and does not only return results."""
    return turn["role"] == "user" and any("functionResponse" not in p for p in turn["parts"])


def _signature_of(part: JsonObject, text: str) -> str:
    call = part.get("functionCall")
    return sign(call["name"], call.get("args") or {}) if call else sign(text)


def _called_tools(body: JsonObject, last: list[JsonObject]) -> tuple[Tool, ...]:
    """Those on offer; none once results have come back, or when told not to."""
    config: JsonObject = body.get("toolConfig") or {}
    calling: JsonObject = config.get("functionCallingConfig") or {}
    if calling.get("mode") == "NONE" or any("functionResponse" in part for part in last):
        return ()
    declared = [
        each for tool in body.get("tools") or () for each in tool.get("functionDeclarations") or ()
    ]
    allowed = calling.get("allowedFunctionNames")
    return tuple(
        Tool(str(each["name"]), each.get("parametersJsonSchema") or each.get("parameters") or {})
        for each in declared
        if allowed is None or each["name"] in allowed
    )

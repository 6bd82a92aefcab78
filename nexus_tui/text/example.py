"""An example request for a model, to copy or to send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nexus_core.dialects.inbound import CHAT_PATH, MESSAGES_PATH, RESPONSES_PATH
from nexus_core.types import Operation

_ASKED: Mapping[Operation, Mapping[str, Any]] = {
    Operation.CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    Operation.COMPLETIONS: {"prompt": "hi"},
    Operation.EMBEDDINGS: {"input": "hi"},
}
_OLLAMA = "/api/"
_WITH_PROMPT = frozenset({"/api/generate", "/api/embeddings"})
_ONE_PROMPT = {"prompt": "hi"}
_GEMINI = "/v1beta/"  # whose paths have the model's name
_TOOL = {"type": "function", "function": {"name": "example", "parameters": {"type": "object"}}}

_CLAUDE_TOOL = {"name": "example", "input_schema": {"type": "object"}}
_FLAT_TOOL = {"type": "function", "name": "example", "parameters": {"type": "object"}}
_MAX_TOKENS = 1024


def example_body(
    model: str,
    operation: Operation = Operation.CHAT,
    *,
    stream: bool = False,
    tools: bool = False,
    endpoint: str = CHAT_PATH,
) -> dict[str, Any]:
    """The body of a request that says hi, as the endpoint takes it."""
    if endpoint.startswith(_GEMINI):
        return _gemini_body(operation, endpoint, tools=tools)
    asked = _ONE_PROMPT if endpoint in _WITH_PROMPT else _ASKED[operation]
    body: dict[str, Any] = {"model": model, **asked}
    if endpoint == MESSAGES_PATH:
        body["max_tokens"] = _MAX_TOKENS  # Anthropic requires a limit
        if tools:
            body["tools"] = [_CLAUDE_TOOL]
        tools = False
    if endpoint == RESPONSES_PATH:
        body = dict[str, Any](model=model, input="hi")
        if tools:
            body["tools"] = [_FLAT_TOOL]
        tools = False
    if operation is not Operation.EMBEDDINGS and (stream or endpoint.startswith(_OLLAMA)):
        body["stream"] = stream  # Ollama's streams unless told otherwise
    if tools and operation is Operation.CHAT and "messages" in body:
        body["tools"] = [_TOOL]
    return body


def _gemini_body(operation: Operation, endpoint: str, *, tools: bool) -> dict[str, Any]:
    content = {"parts": [{"text": "hi"}]}
    if operation is Operation.EMBEDDINGS:
        is_batch = endpoint.endswith(":batchEmbedContents")
        return {"requests": [{"content": content}]} if is_batch else {"content": content}
    body: dict[str, Any] = {"contents": [{"role": "user", **content}]}
    if tools:
        body["tools"] = [{"functionDeclarations": [{"name": "example"}]}]
    return body

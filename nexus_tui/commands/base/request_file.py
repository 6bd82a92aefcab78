"""A request from a file or stdin, to explain: a body, a recording, or what `nexus request` told."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import NamedTuple

from nexus_core.types import JsonObject, is_list, is_object
from nexus_tui.commands.base.errors import NoAnswerError

STDIN = "-"

# Which API a body is written for, by a field that no other has; looked for in this order.
_BY_FIELD = (
    ("contents", "/v1beta/models/{model}:generateContent"),
    ("keep_alive", "/api/chat"),
    ("options", "/api/chat"),
    ("think", "/api/chat"),
    ("system", "/v1/messages"),
    ("thinking", "/v1/messages"),
    ("context_management", "/v1/messages"),
    ("anthropic_version", "/v1/messages"),
    ("messages", "/v1/chat/completions"),
    ("prompt", "/v1/completions"),
)
_ANTHROPIC_BLOCKS = ("tool_use", "tool_result", "thinking", "document")
_OF_RESPONSES = ("instructions", "tools", "stream", "reasoning", "include", "store", "text")


class RequestFile(NamedTuple):
    """A request as a client sent it, or would send it."""

    endpoint: str  # the path of its API
    body: bytes


def read_request_file(name: str, endpoint: str | None = None) -> RequestFile:
    """Read it; `-` is stdin.

    Args:
        endpoint: the path of its API; None: as the file says, else by what the body looks like.

    Raises:
        NoAnswerError: it can't be read, or is no request.
    """
    shown = "stdin" if name == STDIN else name
    try:
        text = sys.stdin.read() if name == STDIN else Path(name).read_text("utf-8")
        told: object = json.loads(text)
    except OSError as error:
        raise NoAnswerError(f"{shown}: {error.strerror}") from error
    except ValueError as error:  # UnicodeDecodeError is one
        raise NoAnswerError(f"{shown}: no JSON: {error}") from error
    if not is_object(told):
        raise NoAnswerError(f"{shown}: a request is a JSON object")
    try:
        found = _read(told, text)
    except (ValueError, LookupError, TypeError) as error:
        raise NoAnswerError(f"{shown}: not what `nexus request ID --captured` tells") from error
    return found if endpoint is None else found._replace(endpoint=endpoint)


def _read(told: JsonObject, text: str) -> RequestFile:
    if is_object(bodies := told.get("bodies")):  # of `nexus request ID --captured --json`
        endpoint = _named(str(bodies["endpoint"]), bodies.get("model"))
        return RequestFile(endpoint, _content(bodies["request"]))
    if is_object(told.get("body")) and isinstance(path := told.get("path"), str):  # a recording
        return RequestFile(path.partition("?")[0], json.dumps(told["body"]).encode())
    return RequestFile(_named(endpoint_of(told), told.get("model")), text.encode())


def _named(endpoint: str, model: object) -> str:
    """A path that has its model in it, where that is known."""
    return endpoint.replace("{model}", model) if isinstance(model, str) else endpoint


def _content(told: JsonObject) -> bytes:
    content = str(told["content"])
    return base64.b64decode(content) if told["encoding"] == "base64" else content.encode()


def endpoint_of(body: JsonObject) -> str:
    """The path of the API that a body is written for; where several would do, OpenAI's."""
    if "input" in body and "messages" not in body:
        is_responses = any(name in body for name in _OF_RESPONSES) or bool(_objects(body["input"]))
        return "/v1/responses" if is_responses else "/v1/embeddings"
    found = next((path for name, path in _BY_FIELD if name in body), "/v1/chat/completions")
    is_chat = found == "/v1/chat/completions"
    return "/v1/messages" if is_chat and _is_anthropic(body) else found


def _objects(value: object) -> list[JsonObject]:
    """The objects of a list; none of anything else."""
    return [one for one in value if is_object(one)] if is_list(value) else []


def _is_anthropic(body: JsonObject) -> bool:
    """Tools with an input_schema, or blocks that only Messages have."""
    if any("input_schema" in one for one in _objects(body.get("tools"))):
        return True
    return any(
        block.get("type") in _ANTHROPIC_BLOCKS
        for message in _objects(body.get("messages"))
        for block in _objects(message.get("content"))
    )

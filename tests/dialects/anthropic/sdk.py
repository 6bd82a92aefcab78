"""The vendors' own types as judges of what we send and answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, get_args, get_type_hints

from anthropic.types.message_create_params import (
    MessageCreateParamsNonStreaming,
    MessageCreateParamsStreaming,
)
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, TypeAdapter
from typing_extensions import is_typeddict

# Still taken by older models, and gone from the SDK's types for the sake of the newer ones.
SAMPLING = {"temperature", "top_p", "top_k"}

# What answers and chunks hold beyond OpenAI's types; clients keep such fields and return them.
MESSAGE_EXTRAS = {"reasoning_content", "thinking_blocks"}
DELTA_EXTRAS = {*MESSAGE_EXTRAS, "annotations"}
CALL_EXTRAS = {"extra_content"}


def check_request(body: Mapping[str, Any]) -> None:
    """Fails where the SDK's request types know a field not, or know it otherwise."""
    for name in SAMPLING & body.keys():
        assert isinstance(body[name], int | float)
    kind = MessageCreateParamsStreaming if body["stream"] else MessageCreateParamsNonStreaming
    rest = {name: value for name, value in body.items() if name not in SAMPLING}
    _exhaust(_adapter(kind).validate_python(rest))


def check_completion(answer: Mapping[str, Any]) -> None:
    """Fails for an answer that is not OpenAI's, or holds what nobody documented."""
    completion = ChatCompletion.model_validate(answer, strict=True)
    _check_extras(completion)


def check_chunk(chunk: Mapping[str, Any]) -> None:
    """The same for a piece of a stream."""
    _check_extras(ChatCompletionChunk.model_validate(chunk, strict=True))


def _check_extras(model: BaseModel) -> None:
    allowed: dict[str, set[str]] = {
        "ChatCompletionMessage": MESSAGE_EXTRAS,
        "ChoiceDelta": DELTA_EXTRAS,
        "ChatCompletionMessageFunctionToolCall": CALL_EXTRAS,
        "ChoiceDeltaToolCall": CALL_EXTRAS,
    }
    name = type(model).__name__
    assert set(model.model_extra or {}) <= allowed.get(name, set()), name
    for field in type(model).model_fields:
        value = getattr(model, field)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, BaseModel):
                _check_extras(item)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    _forbid_unknown(kind, set())
    return TypeAdapter(kind)


def _forbid_unknown(kind: Any, seen: set[Any]) -> None:
    """Typed dicts let unknown keys pass unless told otherwise, each of them for itself."""
    if kind in seen:
        return
    if is_typeddict(kind):
        seen.add(kind)
        config = {**getattr(kind, "__pydantic_config__", {})}
        kind.__pydantic_config__ = {"extra": "forbid", **config}
        for hint in get_type_hints(kind, include_extras=True).values():
            _forbid_unknown(hint, seen)
    for argument in get_args(kind):
        _forbid_unknown(argument, seen)


def _exhaust(value: object) -> None:
    """Iterables are checked as they are walked.

    A block may also be one of the SDK's answer classes, and those let unknown fields pass.
    """
    assert not isinstance(value, BaseModel), f"no request type fits: {value}"
    if isinstance(value, Mapping):
        for item in value.values():
            _exhaust(item)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for item in value:
            _exhaust(item)

"""Read Gemini's candidates: their parts and finish reasons.

Whole answers and the events of streams have one shape, so both are read here. The input is
untrusted: an invalid value is a ValueError.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, TypeAlias

import msgspec

from nexus_core.dialects.gemini.values import as_list, as_object, as_text, write_object
from nexus_core.dialects.hub.answer import FinishReason
from nexus_core.dialects.hub.request import ChatRequest
from nexus_core.dialects.tool_calls.mapping import UNCHANGED, CallMapping
from nexus_core.types import JsonObject


class AnswerForm(msgspec.Struct, frozen=True):
    """Facts of a request that shape its answer."""

    one_call: bool = False  # of several calls only the first is passed on
    as_function_call: bool = False  # in the legacy field, for a client that sent `functions`
    calls: CallMapping = UNCHANGED  # what the request's translation says of its tools

    @classmethod
    def of(cls, fields: ChatRequest, calls: CallMapping = UNCHANGED) -> AnswerForm:
        """The answer form for a request's fields."""
        legacy = bool(fields.get("functions")) and not fields.get("tools")
        # The legacy field holds one call; Gemini can't be told to make one call at a time.
        return cls(legacy or fields.get("parallel_tool_calls") is False, legacy, calls)


class Text(msgspec.Struct, frozen=True):
    text: str


class Thought(msgspec.Struct, frozen=True):
    text: str


class Signature(msgspec.Struct, frozen=True):
    """Signature of a text or a thought; those of tool calls stay with the call."""

    value: str


class Image(msgspec.Struct, frozen=True):
    url: str  # data:


class FunctionCall(msgspec.Struct, frozen=True):
    id: str | None
    name: str
    arguments: str  # JSON
    signature: str | None


Piece: TypeAlias = Text | Thought | Signature | Image | FunctionCall

# None: the model failed, and nothing useful can be made of what it said. Whatever is not named
# here was added to cut answers off; it must not read like a natural end.
_FINISH_REASONS: dict[str, FinishReason | None] = {
    "STOP": "stop",
    "NO_IMAGE": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "length",
    "TOO_MANY_TOOL_CALLS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "OTHER": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "content_filter",
    "ESCALATION": "content_filter",
    "PUP_LIMITED_DISABLED": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "MALFORMED_FUNCTION_CALL": None,
    "UNEXPECTED_TOOL_CALL": None,
    "MISSING_THOUGHT_SIGNATURE": None,
    "MALFORMED_RESPONSE": None,
}


def parts_of(candidate: JsonObject) -> list[JsonObject]:
    """A candidate's parts; none if safety or thinking left no answer.

    Raises:
        ValueError: they are not a list of parts.
    """
    content = as_object(candidate.get("content"), "content")
    return [as_object(part, "a part") for part in as_list(content.get("parts"), "parts")]


def read_pieces(candidate: JsonObject, calls: CallMapping = UNCHANGED) -> Iterator[Piece]:
    """Read a candidate's content, in order; code that Gemini ran by itself is skipped.

    `calls` maps tool calls back to the client's tools.

    Raises:
        ValueError: a part is invalid.
    """
    for part in parts_of(candidate):
        signature = part.get("thoughtSignature")
        signature = None if signature is None else as_text(signature, "thoughtSignature")
        if "functionCall" in part:
            yield _read_call(as_object(part["functionCall"], "functionCall"), signature, calls)
            continue
        if text := as_text(part.get("text", ""), "text"):
            yield Thought(text) if part.get("thought") is True else Text(text)
        if "inlineData" in part and part.get("thought") is not True:
            blob = as_object(part["inlineData"], "inlineData")
            mime_type = as_text(blob.get("mimeType"), "mimeType")
            yield Image(f"data:{mime_type};base64,{as_text(blob.get('data'), 'data')}")
        if signature:
            yield Signature(signature)


def _read_call(call: JsonObject, signature: str | None, calls: CallMapping) -> FunctionCall:
    call_id, name = call.get("id"), as_text(call.get("name"), "a function's name")
    if not name:
        raise ValueError("a function call without a name")
    return FunctionCall(
        id=as_text(call_id, "a call's id") if call_id else None,
        name=calls.name(name),
        arguments=write_object(calls.value(name, as_object(call.get("args"), "args"))),
        signature=signature or None,
    )


def is_failed(reason: str) -> bool:
    """Whether a finishReason means that the model failed."""
    return _FINISH_REASONS.get(reason, "content_filter") is None


def finish_reason(reason: str, *, form: AnswerForm, has_calls: bool) -> FinishReason:
    """OpenAI's finish_reason for Google's finishReason, which is STOP after function calls too."""
    word = _FINISH_REASONS.get(reason, "content_filter") or "stop"
    if word != "stop" or not has_calls:
        return word
    return "function_call" if form.as_function_call else "tool_calls"


def finish_reason_of(candidate: JsonObject) -> str | None:
    """Google's finishReason; None while the candidate goes on.

    Raises:
        ValueError: it is not a string.
    """
    reason = candidate.get("finishReason")
    if reason is None or reason == "FINISH_REASON_UNSPECIFIED":
        return None
    return as_text(reason, "finishReason")


def failure(candidate: JsonObject, reason: str) -> str:
    """Error message for a failed candidate."""
    message = candidate.get("finishMessage")
    return f"{reason}: {message}" if isinstance(message, str) and message else reason


def refusal(candidate: JsonObject, reason: str) -> str:
    """Refusal text for an answer that was blocked before it began."""
    message = candidate.get("finishMessage")
    if isinstance(message, str) and message:
        return message
    return f"The answer was withheld by Gemini ({reason})."


def prompt_refusal(answer: JsonObject) -> str | None:
    """Refusal text for a blocked prompt; None for one that was not blocked.

    Raises:
        ValueError: promptFeedback is invalid.
    """
    feedback = as_object(answer.get("promptFeedback"), "promptFeedback")
    reason = feedback.get("blockReason")
    if reason is None:
        return None
    message = feedback.get("blockReasonMessage")
    if isinstance(message, str) and message:
        return message
    return f"The prompt was blocked by Gemini ({as_text(reason, 'blockReason')})."


def answer_id(answer: JsonObject, model: str, created: int) -> str:
    """The completion's id: made of Google's own, or of the answer's content."""
    own = answer.get("responseId")
    if isinstance(own, str) and own:
        return f"chatcmpl-{own}"
    return f"chatcmpl-{_digest(model, created, write_object(answer))}"


def call_id(answer: str, choice: int, number: int) -> str:
    """An id for a call without one: the same for the same place in the same answer."""
    return f"call_{_digest(answer, choice, number)}"


def _digest(*values: object) -> str:
    text = "\n".join(str(value) for value in values)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


# The commonest event of a stream, read at once ---------------------------------------------------


class _Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str
    thought: bool = False


class _Content(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    parts: tuple[_Part]
    role: str = "model"


class _Candidate(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    content: _Content
    index: int = 0


class TextEvent(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """The event: one candidate with one part, and nothing else of an answer."""

    candidates: tuple[_Candidate]
    usage: dict[str, Any] = msgspec.field(name="usageMetadata", default_factory=dict)
    model_version: str = ""
    response_id: str = ""
    create_time: str = ""


class _Tail(msgspec.Struct, gc=False):
    """What stands behind the candidates."""

    usage: dict[str, Any] = msgspec.field(name="usageMetadata", default_factory=dict)


decode_text_event = msgspec.json.Decoder(TextEvent).decode  # of its data
_decode_tail = msgspec.json.Decoder(_Tail).decode
_decode_lines = msgspec.json.Decoder(msgspec.Raw).decode_lines


def last_tail(lines: bytes) -> msgspec.Raw:
    """The last of these tails of events.

    Raises:
        ValueError: one is no JSON.
    """
    return _decode_lines(lines)[-1]


def decode_tail(tail: msgspec.Raw) -> JsonObject:
    """The usage in it; empty without one."""
    return _decode_tail(tail).usage

"""Turn a whole completion into a stream, for servers that ignore `stream: true`. Pure."""

from __future__ import annotations

from nexus_core.dialects.sse import DONE, encode_event
from nexus_core.types import JsonObject, is_list, is_object


def as_chunks(answer: JsonObject, *, include_usage: bool) -> bytes:
    """The events of a chat.completion or text_completion, up to [DONE].

    One chunk with the content of all choices, one with their finish reasons, and one with the usage
    if the client requested it: that chunk has no choices, and other clients may fail on it.
    """
    frame: JsonObject = {
        key: value for key, value in answer.items() if key not in ("choices", "usage")
    }
    given = answer.get("choices")
    choices = [choice for choice in given if is_object(choice)] if given else []
    if answer.get("object") != "text_completion":
        frame["object"] = "chat.completion.chunk"
        said = [_delta(choice, index) for index, choice in enumerate(choices)]
        ended: list[JsonObject] = [
            {**_head(choice, index), "delta": {}, "finish_reason": choice.get("finish_reason")}
            for index, choice in enumerate(choices)
        ]
        events = [{**frame, "choices": said}, {**frame, "choices": ended}]
    else:
        events = [{**frame, "choices": choices}]
    if include_usage and answer.get("usage"):
        events.append({**frame, "choices": [], "usage": answer["usage"]})
    return b"".join(map(encode_event, events)) + DONE


def _head(choice: JsonObject, index: int) -> JsonObject:
    return {"index": choice.get("index", index)}


def _delta(choice: JsonObject, index: int) -> JsonObject:
    """A choice's message as its one delta; tool calls get an index, as deltas have it."""
    message = choice.get("message")
    delta = dict(message) if is_object(message) else {}
    calls = delta.get("tool_calls")
    if is_list(calls):
        delta["tool_calls"] = [
            {"index": number, **call} for number, call in enumerate(calls) if is_object(call)
        ]
    fields = {**_head(choice, index), "delta": delta, "finish_reason": None}
    if choice.get("logprobs") is not None:
        fields["logprobs"] = choice["logprobs"]
    return fields

"""Write whole answers of Anthropic's format from the hub's, and what streams share with them."""

from __future__ import annotations

import json

from nexus_core.dialects.anthropic.inbound.bridge.call_ids import CallIds
from nexus_core.dialects.anthropic.inbound.signatures import sign
from nexus_core.dialects.hub.said import estimated_usage, first_choice, reasoning_in, text_in
from nexus_core.dialects.parsing import parse_finite_json, parse_json
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
}


def message_id(request: Request) -> str:
    """The id of the answer to a request."""
    return f"msg_{request.id or 'unknown'}"


def stop_of(
    choice: JsonObject, request: Request, *, has_calls: bool, is_cut: bool
) -> tuple[str, str | None]:
    """Stop reason and stop sequence of an answer; a call means "tool_use" in every case.

    Args:
        choice: the choice that has the finish_reason.
        is_cut: the last call's arguments have no end.
    """
    finish = choice.get("finish_reason")
    reason = _STOP_REASONS.get(finish, "end_turn") if isinstance(finish, str) else "end_turn"
    if has_calls and not (reason == "max_tokens" and is_cut):
        return "tool_use", None
    if reason == "tool_use":
        return "end_turn", None
    # vLLM and SGLang name the sequence that ended the answer.
    matched = choice.get("stop_reason") or choice.get("matched_stop")
    sequences = request.parsed.get("stop_sequences")
    if reason == "end_turn" and is_list(sequences) and matched in sequences:
        return "stop_sequence", matched
    return reason, None


def usage_fields(usage: TokenUsage) -> JsonObject:
    """Anthropic's usage, whose input_tokens are those that no cache held."""
    cached, written = usage.cached_tokens, usage.cache_write_tokens
    return {
        "input_tokens": max(0, usage.prompt_tokens - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.completion_tokens,
    }


def write_message(
    request: Request, model: str, body: bytes, usage: TokenUsage | None
) -> JsonObject:
    """Write a chat completion as a message.

    Raises:
        ValueError: it is not a completion.
    """
    choice, message = first_choice(parse_json(body, allows_nan=True))
    content, calls = _content(message, CallIds(request))
    if usage is None:
        usage = estimated_usage(request, sum(len(json.dumps(one)) for one in content))
    reason, sequence = stop_of(
        choice, request, has_calls=bool(calls), is_cut=any(one is None for one in calls)
    )
    return {
        "id": message_id(request),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": usage_fields(usage),
    }


def _content(message: JsonObject, ids: CallIds) -> tuple[list[JsonObject], list[JsonObject | None]]:
    """The blocks, and the input of each call; None for one that is not JSON."""
    blocks: list[JsonObject] = []
    if thought := reasoning_in(message):
        blocks.append({"type": "thinking", "thinking": thought, "signature": sign()})
    text = text_in(message)
    if text.strip():  # a blank block would be refused when it comes back
        blocks.append({"type": "text", "text": text})
    inputs: list[JsonObject | None] = []
    calls = message.get("tool_calls")
    for call in calls if is_list(calls) else ():
        function = call.get("function") if is_object(call) else None
        if not is_object(call) or not is_object(function):
            continue
        call_id, name = ids.own(call.get("id")), function.get("name")
        if extra := carried_of(call, call_id):
            blocks.append({"type": "thinking", "thinking": "", "signature": sign(extra)})
        given = read_input(function.get("arguments"))
        inputs.append(given)
        use = {"id": call_id, "name": str(name or ""), "input": {} if given is None else given}
        blocks.append({"type": "tool_use", **use})
    return blocks, inputs


def carried_of(call: JsonObject, call_id: str) -> JsonObject | None:
    """What a provider wants back beside a call, by the call's id."""
    extra = call.get("extra_content")
    return {call_id: extra} if is_object(extra) and extra else None


def read_input(arguments: object) -> JsonObject | None:
    """A call's arguments as an object; None where they are none."""
    if is_object(arguments):
        return arguments
    if not isinstance(arguments, str) or not arguments.strip():
        return {}
    try:
        given = parse_finite_json(arguments)
    except ValueError:
        return None
    return given if is_object(given) else None

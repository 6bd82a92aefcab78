"""Write whole answers of the Gemini API from the hub's, and what streams share with them."""

from __future__ import annotations

import json
import math

from nexus_core.dialects.gemini.inbound.bridge.config import shows_thoughts
from nexus_core.dialects.gemini.inbound.request import GeminiRequest
from nexus_core.dialects.gemini.inbound.signatures import sign
from nexus_core.dialects.hub.said import estimated_usage, reasoning_in, text_in
from nexus_core.dialects.media import is_data_url, read_data_url
from nexus_core.dialects.parsing import parse_finite_json, parse_json
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

_FINISH_REASONS = {
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
_LEAST_LOGPROB = -1e4  # for minus infinity, which JSON can't hold


def finish_reason(finish: object, *, has_bad_call: bool = False) -> str:
    """Google's reason for the end of a candidate: STOP after calls, too."""
    reason = _FINISH_REASONS.get(finish, "STOP") if isinstance(finish, str) else "STOP"
    return "MALFORMED_FUNCTION_CALL" if has_bad_call and reason == "STOP" else reason


def usage_fields(usage: TokenUsage) -> JsonObject:
    """Google's counts: thoughts stand beside what was said, cached tokens within the prompt."""
    thoughts = min(usage.reasoning_tokens, usage.completion_tokens)
    found: JsonObject = {"promptTokenCount": usage.prompt_tokens}
    if usage.cached_tokens:
        found["cachedContentTokenCount"] = usage.cached_tokens
    found["candidatesTokenCount"] = usage.completion_tokens - thoughts
    if thoughts:
        found["thoughtsTokenCount"] = thoughts
    found["totalTokenCount"] = usage.prompt_tokens + usage.completion_tokens
    return found


def thought_part(text: str) -> JsonObject:
    """A part of thinking, signed: a client may send it to a Gemini model next."""
    return {"text": text, "thought": True, "thoughtSignature": sign()}


def images_in(message: JsonObject) -> list[JsonObject]:
    """Images that a model made, as parts."""
    found: list[JsonObject] = []
    images = message.get("images")
    for image in images if is_list(images) else ():
        inner = image.get("image_url") if is_object(image) else None
        url = inner.get("url") if is_object(inner) else None
        if isinstance(url, str) and is_data_url(url):
            try:
                media = read_data_url(url)
            except ValueError:
                continue
            found.append({"inlineData": {"mimeType": media.mime_type, "data": media.data}})
    return found


def call_part(
    name: str, arguments: object, *, call_id: object, extra: object, is_first: bool
) -> JsonObject | None:
    """A call as a part; None where its arguments are no JSON object.

    The first of an answer is signed: a Gemini model that goes on with the conversation wants that.
    """
    args = read_arguments(arguments)
    if args is None:
        return None
    call: JsonObject = {"name": name, "args": args}
    if isinstance(call_id, str) and call_id:
        call["id"] = call_id
    part: JsonObject = {"functionCall": call}
    carried = extra if is_object(extra) and extra else None
    if is_first or carried is not None:
        part["thoughtSignature"] = sign(carried)
    return part


def read_arguments(arguments: object) -> JsonObject | None:
    """A call's arguments as an object; None where they are none."""
    if is_object(arguments):
        return arguments
    if arguments is None or (isinstance(arguments, str) and not arguments.strip()):
        return {}
    if not isinstance(arguments, str):
        return None
    try:
        given = parse_finite_json(arguments)
    except ValueError:
        return None
    return given if is_object(given) else None


def logprobs_of(choice: JsonObject) -> JsonObject | None:
    """Google's log probabilities of a choice's tokens; None without any."""
    logprobs = choice.get("logprobs")
    given = logprobs.get("content") if is_object(logprobs) else None
    tokens = [one for one in given if is_object(one)] if is_list(given) else []
    if not tokens:
        return None
    found: JsonObject = {"chosenCandidates": [_logprob(one) for one in tokens]}
    top = [one.get("top_logprobs") for one in tokens]
    if any(top):
        found["topCandidates"] = [
            {"candidates": [_logprob(one) for one in each if is_object(one)]}
            if is_list(each)
            else {}
            for each in top
        ]
    return found


def _logprob(token: JsonObject) -> JsonObject:
    value = token.get("logprob")
    is_number = isinstance(value, int | float) and math.isfinite(value)
    shown = value if is_number else _LEAST_LOGPROB
    return {"token": str(token.get("token") or ""), "logProbability": shown}


def write_answer(
    request: GeminiRequest, model: str, body: bytes, usage: TokenUsage | None
) -> JsonObject:
    """Write a chat completion as an answer of generateContent.

    Raises:
        ValueError: it is not a completion.
    """
    fields = parse_json(body, allows_nan=True)
    choices = fields.get("choices") if is_object(fields) else None
    if not is_list(choices) or not choices:
        raise ValueError("answered without a message")
    candidates = [_candidate(request, choice, number) for number, choice in enumerate(choices)]
    if usage is None:
        said = sum(len(json.dumps(one["content"]["parts"])) for one in candidates)
        usage = estimated_usage(request, said)
    return {
        "candidates": candidates,
        "usageMetadata": usage_fields(usage),
        "modelVersion": model,
        "responseId": request.id or "unknown",
    }


def _candidate(request: GeminiRequest, choice: object, number: int) -> JsonObject:
    message = choice.get("message") if is_object(choice) else None
    if not is_object(choice) or not is_object(message):
        raise ValueError("answered without a message")
    parts: list[JsonObject] = []
    thought = reasoning_in(message)
    if thought and shows_thoughts(request.parsed):
        parts.append(thought_part(thought))
    if text := text_in(message):
        parts.append({"text": text})
    parts += images_in(message)
    has_bad_call, is_first = False, True
    calls = message.get("tool_calls")
    for call in calls if is_list(calls) else ():
        function = call.get("function") if is_object(call) else None
        if not is_object(call) or not is_object(function) or not function.get("name"):
            continue
        part = call_part(
            str(function["name"]),
            function.get("arguments"),
            call_id=call.get("id"),
            extra=call.get("extra_content"),
            is_first=is_first,
        )
        if part is None:
            has_bad_call = True
        else:
            parts.append(part)
            is_first = False
    candidate: JsonObject = {
        "content": {"parts": parts or [{"text": ""}], "role": "model"},
        "finishReason": finish_reason(choice.get("finish_reason"), has_bad_call=has_bad_call),
        "index": number,
    }
    if (logprobs := logprobs_of(choice)) is not None:
        candidate["logprobsResult"] = logprobs
    return candidate

"""Translate Anthropic's whole answers and errors into OpenAI's, and read their usage."""

from __future__ import annotations

import json
from collections.abc import Mapping

from nexus_core.dialects.anthropic.json_mode import object_in
from nexus_core.dialects.anthropic.thinking_blocks import carry, extra_content
from nexus_core.dialects.hub.answer import (
    AnswerHead,
    FinishReason,
    assistant_message,
    choice,
    completion,
    error_envelope,
    tool_call,
    url_citation,
)
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.tool_calls.mapping import UNCHANGED, CallMapping
from nexus_core.dialects.usage import read_count
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

# An unknown reason reads as "stop". A paused turn has ended too, as far as OpenAI has words for it.
FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}

# https://platform.claude.com/docs/en/api/errors; in a stream only the type shows the status.
ERROR_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_TYPES_BY_STATUS = {status: kind for kind, status in ERROR_STATUSES.items()}

MAX_MESSAGE_CHARS = 4_000  # of an error's message


def translate_response(
    answer: JsonObject,
    *,
    model: str,
    created: int,
    legacy_functions: bool = False,
    wants_object: bool = False,
    calls: CallMapping = UNCHANGED,
) -> JsonObject:
    """Translate a message into OpenAI's chat.completion; `created` is in seconds since the epoch.

    `legacy_functions`: the client offered `functions`, so a call becomes its `function_call`.
    `wants_object`: the client asked for JSON mode.
    `calls`: the mapping of tool calls from the request's translation.

    Raises:
        ValueError: it is not a message, or without the JSON object that was asked for.
    """
    content = answer.get("content")
    if answer.get("type") != "message" or not is_list(content):
        raise ValueError("the answer is not a message")
    reader = _Reader(calls)
    for block in content:
        if not is_object(block) or not isinstance(block.get("type"), str):
            raise ValueError("a content block has no type")
        reader.read(block)
    reason = finish_reason(answer.get("stop_reason"), has_calls=bool(reader.calls))
    refusal = None
    if reason == "content_filter":
        refusal = refusal_text(answer.get("stop_details"))
    message = reader.message(refusal)
    if wants_object and reason == "stop":
        message["content"] = object_in(message["content"])
    if legacy_functions and reader.calls:
        message["function_call"] = message.pop("tool_calls")[0]["function"]
        reason = "function_call" if reason == "tool_calls" else reason
    head = AnswerHead(answer_id(answer), model, created)
    return completion(head, [choice(message, reason)], read_usage(answer.get("usage")))


class _Reader:
    """Reader of the content blocks of one message; unknown kinds are skipped."""

    def __init__(self, calls: CallMapping) -> None:
        self._mapping = calls
        self.calls: list[JsonObject] = []
        self._text = ""
        self._reasoning: list[str] = []
        self._thinking: list[JsonObject] = []
        self._annotations: list[JsonObject] = []

    def read(self, block: JsonObject) -> None:
        match block["type"]:
            case "text":
                self._read_text(block)
            case "tool_use":
                call_id, name = call_names(block)
                given = self._mapping.value(name, _input(block))
                arguments = json.dumps(given, ensure_ascii=False)
                self.calls.append(tool_call(call_id, self._mapping.name(name), arguments))
            case "thinking" | "redacted_thinking":
                carried = carry(block, len(self._text), len(self.calls))
                if carried is not None:
                    self._thinking.append(carried)
                if isinstance(block.get("thinking"), str):
                    self._reasoning.append(block["thinking"])
            case _:
                pass

    def _read_text(self, block: JsonObject) -> None:
        text = block.get("text")
        if not isinstance(text, str):
            raise ValueError("a text block has no text")
        start = len(self._text)
        self._text += text
        citations = block.get("citations")
        for citation in citations if is_list(citations) else []:
            annotation = annotation_of(citation, start, len(self._text))
            if annotation is not None:
                self._annotations.append(annotation)

    def message(self, refusal: str | None) -> JsonObject:
        """Build the choice's message; its content is null without text."""
        extra = extra_content(self._thinking)
        if extra is not None and self.calls:
            self.calls[0]["extra_content"] = extra
        message = assistant_message(
            self._text or None,
            refusal=refusal,
            reasoning="".join(self._reasoning),
            tool_calls=self.calls,
            annotations=self._annotations,
        )
        if self._thinking:
            message["thinking_blocks"] = self._thinking
        return message


def _input(block: JsonObject) -> JsonObject:
    given = block.get("input")
    if given is None:
        return {}
    if not is_object(given):
        raise ValueError("a tool's input is not an object")
    return given


def call_names(block: Mapping[str, object]) -> tuple[str, str]:
    """The id and the name of a tool use.

    Raises:
        ValueError: one is missing.
    """
    call_id, name = block.get("id"), block.get("name")
    if not isinstance(call_id, str) or not isinstance(name, str) or not call_id or not name:
        raise ValueError("a tool use has no id or no name")
    return call_id, name


def answer_id(message: Mapping[str, object]) -> str:
    """The message's id, which becomes the completion's."""
    given = message.get("id")
    return given if isinstance(given, str) and given else "msg_unknown"


def finish_reason(stop_reason: object, *, has_calls: bool) -> FinishReason:
    """OpenAI's finish_reason; "stop" and "tool_calls" depend on whether the turn has calls."""
    reason = FINISH_REASONS.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"
    if reason == "stop" and has_calls:
        return "tool_calls"
    return "stop" if reason == "tool_calls" and not has_calls else reason


def refusal_text(details: object) -> str:
    """Text of OpenAI's `refusal` for an answer that the model declined; never empty."""
    explanation = details.get("explanation") if is_object(details) else None
    if isinstance(explanation, str) and explanation:
        return explanation
    category = details.get("category") if is_object(details) else None
    why = f" ({category})" if isinstance(category, str) and category else ""
    return f"The model declined to answer{why}."


def annotation_of(citation: object, start: int, end: int) -> JsonObject | None:
    """OpenAI's url_citation of the content from `start` to `end`; None for one without a URL."""
    if not is_object(citation):
        return None
    url = citation.get("url") or citation.get("source")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        return None
    title = citation.get("title")
    return url_citation(url, title if isinstance(title, str) else "", start, end)


def read_usage(usage: object) -> TokenUsage | None:
    """Read Anthropic's usage; None for an invalid one, such as one without a prompt.

    `input_tokens` counts neither cache reads nor writes, so the prompt is the sum of all three:
    https://platform.claude.com/docs/en/build-with-claude/prompt-caching
    """
    if not is_object(usage):
        return None
    counts = [usage[name] for name in ("input_tokens", "output_tokens") if name in usage]
    if None in map(read_count, counts):
        return None
    read = _count(usage, "cache_read_input_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    made = _count(usage, "output_tokens")
    prompt = _count(usage, "input_tokens") + read + written
    if not prompt:  # servers that don't count fill zeros in, and unknown is never free
        return None
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=made,
        cached_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=min(
            written, _count(usage.get("cache_creation"), "ephemeral_1h_input_tokens")
        ),
        reasoning_tokens=min(made, _count(usage.get("output_tokens_details"), "thinking_tokens")),
    )


def _count(fields: object, name: str) -> int:
    return (read_count(fields.get(name)) or 0) if is_object(fields) else 0


def translate_error(status: int, body: bytes) -> tuple[int, JsonObject]:
    """Translate an error into the provider's status and OpenAI's envelope. Never raises."""
    try:
        parsed = parse_json(body)
    except ValueError:
        parsed = None
    error = parsed.get("error") if is_object(parsed) else None
    message, kind, code = error_words(error)
    if kind is None:
        fallback = "invalid_request_error" if 400 <= status < 500 else "api_error"
        kind = _TYPES_BY_STATUS.get(status, fallback)
    if message is None:
        message = f"Anthropic answered {status} and did not say why"
    return status, error_envelope(message, kind, code=code)


def error_words(error: object) -> tuple[str | None, str | None, str | None]:
    """Message, type and code of an `error` object; "" for a missing one."""
    if not is_object(error):
        return None, None, None
    details = error.get("details")
    code = details.get("error_code") if is_object(details) else None
    message = _words(error.get("message"))
    return message and message[:MAX_MESSAGE_CHARS], _words(error.get("type")), _words(code)


def _words(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None

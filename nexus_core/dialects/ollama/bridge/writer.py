"""Write the answer to one Ollama request from the hub's: whole, streamed, or an error."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from nexus_core.dialects.base.bridge import StreamWriter
from nexus_core.dialects.hub.said import estimated_usage
from nexus_core.dialects.ollama.bridge.answer import (
    call_of,
    done_reason,
    dumped,
    said,
    silence,
    stamp,
    wants_thinking,
)
from nexus_core.dialects.ollama.bridge.stream import LineWriter
from nexus_core.dialects.ollama.dialect import EMBED, MEDIA_TYPE
from nexus_core.dialects.ollama.errors import translate_error
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, Operation, is_list, is_object


class Timer(msgspec.Struct, frozen=True):
    """The clocks of an answer: its durations are part of the format."""

    now: Callable[[], float] = time.time  # seconds since the epoch
    ticks: Callable[[], int] = time.perf_counter_ns


class OllamaWriter:
    """Writer of one answer in Ollama's format. Its durations begin when it is made."""

    stream_type = MEDIA_TYPE

    def __init__(self, request: Request, timer: Timer | None = None) -> None:
        """`request`: the client's own."""
        self._request = request
        self._timer = timer or Timer()
        self._began = self._timer.ticks()

    def whole(self, body: bytes, usage: TokenUsage | None) -> bytes:
        """Write a whole answer.

        Raises:
            ValueError: it is not an answer in the hub's format.
        """
        fields = parse_json(body, allows_nan=True)
        if not is_object(fields):
            raise ValueError("answered with JSON that is not an object")
        if self._request.operation is Operation.EMBEDDINGS:
            return dumped(self._embeddings(fields, usage))
        return dumped(self._answer(fields, usage))

    def error(self, body: bytes, status: int, retry_after: str | None = None) -> bytes:
        """Write an error answer, whatever form its body has."""
        return translate_error(body, status)

    def stream(self) -> StreamWriter:
        """Create the writer of a stream."""
        return LineWriter(self._request, self._timer.now, self._timer.ticks, self._began)

    def _answer(self, fields: JsonObject, usage: TokenUsage | None) -> JsonObject:
        request = self._request
        choices = fields.get("choices")
        choice = choices[0] if is_list(choices) and choices else None
        if not is_object(choice):
            raise ValueError("answered without a message")
        made = said(request, choice, with_thinking=wants_thinking(request)) or silence(request)
        message = choice.get("message")
        calls = message.get("tool_calls") if is_object(message) else None
        if is_list(calls) and calls and "message" in made:
            made["message"]["tool_calls"] = [
                _call(number, call) for number, call in enumerate(calls) if is_object(call)
            ]
        if usage is None:
            usage = estimated_usage(request, len(dumped(made)))
        taken = self._timer.ticks() - self._began
        return {
            "model": request.parsed["model"],  # as the client named it
            "created_at": stamp(self._timer.now()),
            **made,
            "done": True,
            "done_reason": done_reason(choice.get("finish_reason")),
            "total_duration": taken,
            "load_duration": 0,
            "prompt_eval_count": usage.prompt_tokens,
            "prompt_eval_duration": 0,
            "eval_count": usage.completion_tokens,
            "eval_duration": taken,
        }

    def _embeddings(self, fields: JsonObject, usage: TokenUsage | None) -> JsonObject:
        data = fields.get("data")
        found = [one.get("embedding") for one in data if is_object(one)] if is_list(data) else []
        if not found or not all(is_list(one) for one in found):
            raise ValueError("answered without embeddings as lists of numbers")
        if self._request.path != EMBED.path:
            return {"embedding": found[0]}
        tokens = self._request.demand.prompt_tokens if usage is None else usage.prompt_tokens
        return {
            "model": self._request.parsed["model"],
            "embeddings": found,
            "total_duration": self._timer.ticks() - self._began,
            "load_duration": 0,
            "prompt_eval_count": tokens,
        }


def _call(number: int, call: JsonObject) -> JsonObject:
    function = call.get("function")
    function = function if is_object(function) else {}
    made = call_of(
        number, str(call.get("id") or ""), str(function.get("name")), function.get("arguments")
    )
    if is_object(extra := call.get("extra_content")):
        made["extra_content"] = extra
    return made

"""Extract the text of a captured answer of any API, whole or streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nexus_core.dialects.sse import Shape, SseParser, shape_of
from nexus_core.types import is_list


def answer_text(answer: bytes) -> str:
    """Text of the model's answer and the tools that it calls; the raw one if neither is found."""
    said = "".join(_said_in(answer))
    return said or answer.decode(errors="replace")


def _said_in(answer: bytes) -> Iterator[str]:
    if shape_of(answer) is Shape.EVENTS:
        yield from _streamed(answer)
        return
    whole = _parsed(answer)
    if whole is not None:
        for one in whole if is_list(whole) else [whole]:  # Gemini's streams may be an array
            yield from _said(one)
        return
    for line in answer.splitlines():  # Ollama's streams
        yield from _said(_parsed(line))


def _streamed(answer: bytes) -> Iterator[str]:
    try:
        for event in SseParser().feed(answer + b"\n\n"):
            yield from _said(_parsed(event.data))
    except ValueError:  # a line without end: what came before it is shown
        return


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _said(one: Any) -> Iterator[str]:
    """What a whole answer, or an event of a stream, says: of chat completions the first choice."""
    match one:
        case {"choices": [{"message": message}, *_]} | {"choices": [{"delta": message}, *_]}:
            yield from _message(message)
        case {"choices": [{"text": str(text)}, *_]} | {"response": str(text)}:
            yield text
        case {"candidates": [{"content": {"parts": parts}}, *_]}:
            yield from _blocks(parts)
        case {"object": "response", "output": items}:
            for item in _each(items):
                yield from _item(item)
        case {"type": "message", "content": blocks}:
            yield from _blocks(blocks)
        case {"message": {"role": "assistant"} as message}:
            yield from _message(message)
        case {"type": str(kind)}:
            yield from _event(kind, one)
        case _:
            return


def _event(kind: str, event: Any) -> Iterator[str]:
    """An event of Messages or Responses."""
    match kind, event:
        case "content_block_start", {"content_block": {"type": "tool_use", "name": str(name)}}:
            yield name
        case "content_block_delta", {"delta": {"text": str(text)} | {"partial_json": str(text)}}:
            yield text
        case "response.output_item.added", {"item": {"name": str(name)}}:
            yield name
        case (
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.function_call_arguments.delta"
            | "response.custom_tool_call_input.delta",
            {"delta": str(text)},
        ):
            yield text
        case _:
            return


def _message(message: Any) -> Iterator[str]:
    """A message of chat completions or of Ollama, or a part of one."""
    match message:
        case {"content": str(text)}:
            yield text
        case _:
            pass
    match message:
        case {"tool_calls": calls}:
            for call in _each(calls):
                yield from _call(call)
        case _:
            return


def _call(call: Any) -> Iterator[str]:
    match call:
        case {"function": {} as function}:
            yield f"{function.get('name') or ''}{_arguments(function.get('arguments') or '')}"
        case _:
            return


def _blocks(blocks: Any) -> Iterator[str]:
    """The content of a message of Messages, or the parts of one of Gemini."""
    for block in _each(blocks):
        match block:
            case {"thought": True}:
                continue
            case {"text": str(text)}:
                yield text
            case {"type": "tool_use", "name": str(name), "input": given} | {
                "functionCall": {"name": str(name), "args": given}
            }:
                yield f"{name}{_arguments(given)}"
            case {"functionCall": {"name": str(name)}}:
                yield name
            case _:
                continue


def _item(item: Any) -> Iterator[str]:
    """An item of a whole answer of Responses."""
    match item:
        case {"type": "message", "content": parts}:
            for part in _each(parts):
                match part:
                    case {"text": str(text)} | {"refusal": str(text)}:
                        yield text
                    case _:
                        continue
        case {"name": str(name), "arguments": given} | {"name": str(name), "input": given}:
            yield f"{name}{_arguments(given)}"
        case _:
            return


def _arguments(given: Any) -> str:
    return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


def _each(values: Any) -> list[Any]:
    return values if is_list(values) else []

"""Extract the text of a captured answer, whole or streamed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nexus_core.dialects.sse import Shape, SseParser, shape_of


def answer_text(answer: bytes) -> str:
    """Text of the model's answer; the raw answer if it can't be found."""
    if shape_of(answer) is Shape.EVENTS:
        said = "".join(_streamed(answer))
    else:
        said = "".join(_said(_parsed(answer), "message"))
    return said or answer.decode(errors="replace")


def _streamed(answer: bytes) -> Iterator[str]:
    try:
        for event in SseParser().feed(answer + b"\n\n"):
            yield from _said(_parsed(event.data), "delta")
    except ValueError:  # a line without end: what came before it is shown
        return


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _said(answer: Any, part: str) -> Iterator[str]:
    """The content of the first choice, and the tools that it calls."""
    try:
        message = answer["choices"][0][part]
        if isinstance(message.get("content"), str):
            yield message["content"]
        for call in message.get("tool_calls") or ():
            function = call["function"]
            yield f"{function.get('name') or ''}{function.get('arguments') or ''}"
    except (KeyError, IndexError, TypeError, AttributeError):
        return

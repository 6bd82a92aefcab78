"""A captured body as text: what the model said, pretty JSON, or as it came."""

from __future__ import annotations

import json
from typing import Literal, TypeAlias

from nexus_core.dialects.sse import Shape, SseParser, shape_of
from nexus_tui.text.answer import answer_text

Form: TypeAlias = Literal["text", "JSON", "raw"]
ANSWER_FORMS: tuple[Form, ...] = ("text", "JSON", "raw")
REQUEST_FORMS: tuple[Form, ...] = ("JSON", "raw")

_MAX_PRETTY = 256 * 1024  # bytes: what takes longer to read holds the screen up


def body_text(body: bytes, form: Form) -> str:
    """The body in this form; as it came where it has no such form."""
    if form == "text":
        return answer_text(body)
    if form == "JSON" and len(body) <= _MAX_PRETTY:
        return _pretty(body)
    return body.decode(errors="replace")


def _pretty(body: bytes) -> str:
    if shape_of(body) is not Shape.EVENTS:
        return _indented(body.decode(errors="replace"))
    try:
        return "\n".join(_indented(event.data) for event in SseParser().feed(body + b"\n\n"))
    except ValueError:  # a line without end
        return body.decode(errors="replace")


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text

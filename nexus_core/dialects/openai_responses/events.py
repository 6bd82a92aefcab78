"""Events of Responses streams, encoded, and a whole response as the events of its stream.

https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

import json
from functools import lru_cache

import msgspec

from nexus_core.types import JsonObject, is_list, is_object

_encode = msgspec.json.Encoder().encode


def encoded(value: object) -> bytes:
    """JSON of any value that was read from JSON, lone surrogates included."""
    try:
        return _encode(value)
    except (UnicodeError, RecursionError, OverflowError):
        return json.dumps(value, separators=(",", ":")).encode()


def dumped(value: object) -> str:
    """The same as text."""
    return encoded(value).decode()


class Events:
    """Encoder of the events of one stream; it numbers them."""

    def __init__(self) -> None:
        self.number = -1  # of the last event

    def event(self, kind: str, **fields: object) -> bytes:
        """Encode one event."""
        self.number += 1
        body = {"type": kind, "sequence_number": self.number, **fields}
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), encoded(body))

    def delta(self, head: str, delta: str, tail: str) -> bytes:
        """Encode an event of which all but number and text is known, by `delta_head`."""
        self.number += 1
        begin, rest = head.split("\0")
        return f"{begin}{self.number}{rest}{dumped(delta)}{tail}}}\n\n".encode()

    def deltas(self, head: str, deltas: list[bytes], tail: str) -> bytes:
        """The same of several texts, which are JSON without their quotation marks."""
        form, number = _delta_form(head, tail), self.number
        made: list[bytes] = []
        for delta in deltas:
            number += 1
            made.append(form % (number, delta))
        self.number = number
        return b"".join(made)


@lru_cache(maxsize=64)
def _delta_form(head: str, tail: str) -> bytes:
    """The form of a delta's event, for its number and its text."""
    begin, rest = head.replace("%", "%%").encode().split(b"\0")
    return b'%b%%d%b"%%b"%b}\n\n' % (begin, rest, tail.replace("%", "%%").encode())


def delta_head(kind: str, place: JsonObject) -> str:
    """The beginning of all events of a kind at one place; a NUL stands for the number."""
    rest = dumped(place)[1:-1]
    return f'event: {kind}\ndata: {{"type":"{kind}","sequence_number":\0,{rest},"delta":'


# A whole response as a stream ---------------------------------------------------------------------


def as_events(response: JsonObject) -> bytes:
    """A whole response as the stream that the client asked for."""
    events, output = Events(), response.get("output")
    begun: JsonObject = {
        **response,
        "status": "in_progress",
        "output": [],
        "usage": None,
        "completed_at": None,
    }
    made = [
        events.event("response.created", response=begun),
        events.event("response.in_progress", response=begun),
    ]
    for index, item in enumerate(output if is_list(output) else ()):
        if is_object(item):
            made += _item(events, index, item)
    status = response.get("status")
    kind = status if status in ("incomplete", "failed") else "completed"
    made.append(events.event(f"response.{kind}", response=response))
    return b"".join(made)


def _item(events: Events, index: int, item: JsonObject) -> list[bytes]:
    place: JsonObject = {"item_id": str(item.get("id") or ""), "output_index": index}
    start: JsonObject = {**item, "status": "in_progress"}
    if (comes := _IN_PIECES.get(str(item.get("type")))) is not None:
        start[comes] = [] if comes == "content" else ""
    made = [events.event("response.output_item.added", output_index=index, item=start)]
    match item:
        case {"type": "message", "content": [*parts]}:
            for number, part in enumerate(parts):
                if is_object(part):
                    made += _part(events, {**place, "content_index": number}, part)
        case {"type": "function_call", "arguments": str(text), "name": name}:
            kind = "response.function_call_arguments"
            made.append(events.event(f"{kind}.delta", **place, delta=text))
            made.append(events.event(f"{kind}.done", **place, arguments=text, name=name))
        case {"type": "custom_tool_call", "input": str(text)}:
            kind = "response.custom_tool_call_input"
            made.append(events.event(f"{kind}.delta", **place, delta=text))
            made.append(events.event(f"{kind}.done", **place, input=text))
        case _:
            pass
    made.append(events.event("response.output_item.done", output_index=index, item=item))
    return made


# What comes in pieces of an item, by its type.
_IN_PIECES = {"message": "content", "function_call": "arguments", "custom_tool_call": "input"}


def _part(events: Events, place: JsonObject, part: JsonObject) -> list[bytes]:
    """A part of a message, from its beginning to its end."""
    match part:
        case {"type": "output_text", "text": str(text)}:
            kind, told = "response.output_text", "text"
            more: JsonObject = {"logprobs": part.get("logprobs") or []}
        case {"type": "refusal", "refusal": str(text)}:
            kind, told, more = "response.refusal", "refusal", {}
        case _:
            return []
    start = {**part, told: "", **more}
    return [
        events.event("response.content_part.added", **place, part=start),
        events.event(f"{kind}.delta", **place, delta=text, **more),
        events.event(f"{kind}.done", **place, **{told: text}, **more),
        events.event("response.content_part.done", **place, part=part),
    ]

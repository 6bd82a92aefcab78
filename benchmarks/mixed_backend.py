"""The backend of consistency.py: every answer costs something else, and some never end.

A prompt says `number N of KIND!`, and so what is to become of the request.
"""

from __future__ import annotations

import asyncio
import json
import re
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from nexus_core.config.schema import PriceConfig

# A price that no cost divides evenly: rounding shows.
PRICE = PriceConfig(input_per_1k=0.000123457, output_per_1k=0.000654321)

# What a request is for; each number has the next one.
KINDS = (
    ("cloud", False),
    ("cloud", True),
    ("claude", True),
    ("local", False),
    ("gemini", True),
    ("cloud", False),
    ("shaky", False),  # whose first backend fails every second time
    ("local", True),
    ("claude", False),
    ("shaky", True),
    ("cloud", True),
    ("leaves early", True),
    ("gemini", False),
    ("leaves", True),
    ("breaks", True),
    ("nobody's", False),  # which no backend has; that is told after it was let in
    ("invalid", False),
)
_NUMBER = re.compile(rb"number (\d+) of (\w[\w ']*)!")


def tokens(number: int) -> tuple[int, int]:
    """Of the prompt and the answer, as the backend reports them."""
    return 10 + number % 97, 5 + number % 89


def price(number: int) -> int:
    """Nano-dollars, rounded once."""
    prompt, completion = tokens(number)
    dollars = prompt * Decimal(str(PRICE.input_per_1k))
    dollars += completion * Decimal(str(PRICE.output_per_1k))
    return int((dollars * 10**6).to_integral_value(ROUND_HALF_EVEN))


def _json(body: dict[str, Any]) -> bytes:
    data = json.dumps(body).encode()
    kind = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    return kind + b"Content-Length: %d\r\n\r\n" % len(data) + data


def _usage(number: int) -> dict[str, int]:
    prompt, completion = tokens(number)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _openai(number: int, *, is_stream: bool) -> list[bytes]:
    told: dict[str, Any] = {"id": f"c{number}", "created": 1, "model": "m"}
    if not is_stream:
        message = {"role": "assistant", "content": "hello there"}
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": "stop"}
        return [
            _json(
                told | {"object": "chat.completion", "choices": [choice], "usage": _usage(number)}
            )
        ]
    told |= {"object": "chat.completion.chunk"}
    deltas: list[tuple[dict[str, str], str | None]] = [
        ({"role": "assistant", "content": ""}, None),
        ({"content": "hello"}, None),
        ({"content": " there"}, None),
        ({}, "stop"),
    ]
    events: list[dict[str, Any]] = [
        told | {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in deltas
    ]
    events.append(told | {"choices": [], "usage": _usage(number)})
    return [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events] + [
        b"data: [DONE]\n\n"
    ]


def _anthropic(number: int, *, is_stream: bool) -> list[bytes]:
    prompt, completion = tokens(number)
    usage = {"input_tokens": prompt, "output_tokens": completion}
    message: dict[str, Any] = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "hello there"}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    if not is_stream:
        return [_json(message)]
    begun = message | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
    text = {"type": "text", "text": ""}
    return [
        f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()
        for kind, fields in (
            ("message_start", {"message": begun}),
            ("content_block_start", {"index": 0, "content_block": text}),
            ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "hello"}}),
            ("content_block_stop", {"index": 0}),
            ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": usage}),
            ("message_stop", {}),
        )
    ]


def _google(number: int, *, is_stream: bool) -> list[bytes]:
    prompt, completion = tokens(number)
    usage = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": completion,
        "totalTokenCount": prompt + completion,
    }
    parts = {"content": {"role": "model", "parts": [{"text": "hello there"}]}, "index": 0}
    end = parts | {"finishReason": "STOP"}
    whole = {"candidates": [end], "usageMetadata": usage, "responseId": f"r{number}"}
    if not is_stream:
        return [_json(whole)]
    events = [whole | {"candidates": [parts]}, whole]
    return [b"data: " + json.dumps(event).encode() + b"\r\n\r\n" for event in events]


class Backend:
    """Answers as the number and kind in the prompt say; `came` tells which ones are here."""

    def __init__(self) -> None:
        self.waiting: dict[int, asyncio.Event] = {}  # for a request to come, by its number

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                body = await reader.readexactly(int(length or b"0"))
                if not await self._answer(head, body, reader, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, head: bytes, body: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """False: the connection is not used again."""
        found = _NUMBER.search(body)
        number, kind = (int(found[1]), found[2].decode()) if found else (0, "")
        if number in self.waiting:
            self.waiting.pop(number).set()
        if kind == "leaves early":
            await reader.read(1)  # until Nexus hangs up
            return False
        if kind == "shaky" and head.startswith(b"POST /shaky") and number // len(KINDS) % 2:
            writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}")
            return True
        is_stream = b'"stream":true' in body.replace(b" ", b"") or b":stream" in head
        if b"/messages" in head:
            pieces = _anthropic(number, is_stream=is_stream)
        elif b"enerateContent" in head:
            pieces = _google(number, is_stream=is_stream)
        else:
            pieces = _openai(number, is_stream=is_stream)
        if not is_stream:
            writer.write(pieces[0])
            return True
        kind_of = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        writer.write(kind_of + b"Transfer-Encoding: chunked\r\n\r\n")
        for at, piece in enumerate(pieces):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await asyncio.sleep(0)
            if at == 2 and kind == "leaves":
                await reader.read(1)
                return False
            if at == 2 and kind == "breaks":
                return False
        writer.write(b"0\r\n\r\n")
        return True

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from nexus_core.dialects.gemini import estimate_tokens
from tests.dialects.gemini.bodies import PNG, USER, WEATHER, call, calls, result, translate


def png(width: int, height: int) -> str:
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height)
    return base64.b64encode(head + bytes(64)).decode()


def jpeg(width: int, height: int) -> str:
    preview = b"\xff\xe0" + struct.pack(">H", 16) + bytes(14)
    frame = b"\xff\xc0" + struct.pack(">HBHH", 17, 8, height, width) + bytes(10)
    return base64.b64encode(b"\xff\xd8" + preview + frame).decode()


def inline(mime_type: str, data: str) -> dict[str, Any]:
    part = {"inlineData": {"mimeType": mime_type, "data": data}}
    return {"contents": [{"role": "user", "parts": [part]}]}


@pytest.mark.parametrize(
    ("mime_type", "data", "tokens"),
    [
        ("image/png", PNG, 258),
        ("image/png", png(384, 384), 258),
        ("image/png", png(960, 540), 6 * 258),
        ("image/png", png(3000, 2000), 12 * 258),
        ("image/jpeg", jpeg(960, 540), 6 * 258),
        ("image/png", png(10**6, 1), 64 * 258),
        ("image/webp", "UklGRgAAAABXRUJQ", 4 * 258),
        ("image/png", "iVBORw0KGgo=", 4 * 258),
        ("application/pdf", base64.b64encode(bytes(400_000)).decode(), 2580),
        ("application/pdf", "JVBERi0xLjQ=", 258),
        ("audio/mp3", base64.b64encode(bytes(16_000 * 60)).decode(), 32 * 60),
        ("text/plain", base64.b64encode(b"abcdefgh").decode(), 2),
    ],
)
def test_a_medium(mime_type: str, data: str, tokens: int) -> None:
    assert estimate_tokens(inline(mime_type, data)) == tokens


@pytest.mark.parametrize(("text", "tokens"), [("abcd", 1), ("abcde", 2), ("日本語", 3)])
def test_a_text(text: str, tokens: int) -> None:
    assert estimate_tokens(translate({"role": "user", "content": text}).body) == tokens


def test_everything_that_goes_up_counts() -> None:
    conversation = (USER, calls(call("a")), result("a"))
    bare = estimate_tokens(translate(*conversation).body)

    more = [
        translate({"role": "system", "content": "Be kind."}, *conversation),
        translate(*conversation, tools=[WEATHER]),
        translate(
            *conversation,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"type": "object"}},
            },
        ),
        translate(
            USER,
            calls(call("a")),
            result(
                "a",
                [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
            ),
        ),
        translate({"role": "user", "content": "a longer question"}, *conversation[1:]),
        translate(
            *conversation,
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}],
            },
        ),
    ]

    assert all(estimate_tokens(translation.body) > bare for translation in more)

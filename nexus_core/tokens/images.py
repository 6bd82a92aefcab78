"""Estimate the tokens of an image, from its size and the provider's published rule."""

from __future__ import annotations

import base64
import math
import re

from nexus_core.types import PromptImage

_HEAD_CHARS = 64 * 1024  # of the base64: where the size stands, behind the camera's remarks too
_UNKNOWN_SIZE = (1024, 1024)  # an image behind a URL, or in a format that is not read here

# OpenAI's tokens for every image, and for each tile of 512 pixels.
# https://platform.openai.com/docs/guides/images-vision#calculating-costs
_TILES = (
    (r"gpt-4o-mini", 2833, 5667),
    (r"gpt-5", 70, 140),
    (r"o[13](-|$)", 75, 150),
    (r"", 85, 170),
)
_LONGEST, _SHORTEST, _TILE = 2048, 768, 512

_CLAUDE_PIXELS_PER_TOKEN = 750  # https://platform.claude.com/docs/en/build-with-claude/vision
_CLAUDE_LONGEST = 1568
_GEMINI_TILE, _GEMINI_TOKENS = 768, 258  # https://ai.google.dev/gemini-api/docs/tokens
_GEMINI_SMALL = 384  # to this size an image is one tile


def image_tokens(model: str, image: PromptImage) -> int:
    """Tokens of an image.

    The size is read from a data URL (PNG, GIF, JPEG, WebP); any other image counts as 1024 x 1024.
    """
    name = model.rpartition("/")[2].lower()
    width, height = _size(image.url) or _UNKNOWN_SIZE
    if name.startswith("claude"):
        scale = min(1.0, _CLAUDE_LONGEST / max(width, height))
        return math.ceil(width * scale * height * scale / _CLAUDE_PIXELS_PER_TOKEN)
    if name.startswith("gemini"):
        if max(width, height) <= _GEMINI_SMALL:
            return _GEMINI_TOKENS
        tiles = math.ceil(width / _GEMINI_TILE) * math.ceil(height / _GEMINI_TILE)
        return tiles * _GEMINI_TOKENS
    return _openai_tokens(name, width, height, is_low=image.is_low)


def _openai_tokens(name: str, width: int, height: int, *, is_low: bool) -> int:
    base, per_tile = next((b, t) for pattern, b, t in _TILES if re.match(pattern, name))
    if is_low:
        return base
    scale = min(1.0, _LONGEST / max(width, height))
    scale = min(scale, _SHORTEST / min(width, height))
    across, down = math.ceil(width * scale / _TILE), math.ceil(height * scale / _TILE)
    return base + per_tile * across * down


def _size(url: str) -> tuple[int, int] | None:
    """Width and height of an image in a data URL; None where that is not known."""
    head, comma, data = url[: _HEAD_CHARS + 128].partition(";base64,")
    if not comma or not head.startswith("data:image/"):
        return None
    data = data[: len(data) // 4 * 4]
    try:
        content = base64.b64decode(data)
    except ValueError:  # not base64, or not even ASCII
        return None
    size = _size_in(content)
    return size if size and min(size) > 0 else None


def _size_in(content: bytes) -> tuple[int, int] | None:
    def little(start: int, count: int) -> int:
        return int.from_bytes(content[start : start + count], "little")

    def big(start: int, count: int) -> int:
        return int.from_bytes(content[start : start + count], "big")

    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return big(16, 4), big(20, 4)
    if content.startswith(b"GIF8"):
        return little(6, 2), little(8, 2)
    if content.startswith(b"\xff\xd8"):
        return _jpeg_size(content)
    if content[8:15] == b"WEBPVP8":
        match content[15:16]:
            case b"X":
                return little(24, 3) + 1, little(27, 3) + 1
            case b"L":
                bits = little(21, 4)
                return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            case b" ":
                return little(26, 2) & 0x3FFF, little(28, 2) & 0x3FFF
            case _:
                pass
    return None


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Walk the segments to the frame header, which holds the size."""
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = content[at + 5 : at + 7], content[at + 7 : at + 9]
            return int.from_bytes(width, "big"), int.from_bytes(height, "big")
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return None

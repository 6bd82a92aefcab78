"""Estimate the prompt tokens of a Gemini request before Google counts them.

Rules: https://ai.google.dev/gemini-api/docs/tokens and …/image-understanding. A token is about four
characters of English; bytes of UTF-8 are counted instead, which is near for other scripts too. An
image is 258 tokens per tile, small ones are one tile. A page of a PDF is 258; audio is 32 a second,
video about 300: how long they are is guessed from their size.
"""

from __future__ import annotations

import json

from nexus_core.dialects.media import image_size
from nexus_core.types import JsonObject

_BYTES_PER_TOKEN = 4
_TILE_TOKENS = 258
_SMALL_SIDE = 384  # pixels; an image of at most this on both sides is one tile
_TILE_SIDE = 768
_MOST_TILES = 64
_GUESSED_TILES = 4  # of an image that shows no size, e.g. behind a link

# Tokens for each byte of a medium: tokens a second over a usual rate of bytes, or tokens a page
# over the bytes of a usual page.
_PER_BYTE = {
    "audio": 32 / 16_000,
    "video": 300 / 250_000,
    "application/pdf": _TILE_TOKENS / 40_000,
}


def estimate_tokens(body: JsonObject) -> int:
    """Estimate the prompt tokens of a translated request, chat or embeddings."""
    contents = list(body.get("contents", ()))
    contents += [request["content"] for request in body.get("requests", ())]
    if "systemInstruction" in body:
        contents.append(body["systemInstruction"])
    parts = (part for content in contents for part in content["parts"])
    tools = sum(_size(tool) for tool in body.get("tools", ()))
    schema = _size(body.get("generationConfig", {}).get("responseJsonSchema", ""))
    return sum(_part_tokens(part) for part in parts) + _of_text(tools + schema)


def _part_tokens(part: JsonObject) -> int:
    if "inlineData" in part:
        return _media_tokens(part["inlineData"])
    if "fileData" in part:
        return _GUESSED_TILES * _TILE_TOKENS
    if "text" in part:
        return _of_text(_bytes(part["text"]))
    if "functionCall" in part:
        return _of_text(_size(part["functionCall"]))
    response = part["functionResponse"]
    media = sum(_part_tokens(inner) for inner in response.get("parts", ()))
    return media + _of_text(_size({**response, "parts": None}))


def _of_text(size: int) -> int:
    return -(-size // _BYTES_PER_TOKEN)


def _size(value: object) -> int:
    try:
        return _bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) if value else 0
    except RecursionError:
        return 0  # nested too deep to be sent at all


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _media_tokens(blob: JsonObject) -> int:
    mime_type, data = blob["mimeType"], blob["data"]
    size = len(data.rstrip("=")) * 3 // 4
    if mime_type.startswith("image/"):
        return _TILE_TOKENS * _tiles(data)
    if mime_type.startswith("text/"):
        return _of_text(size)
    per_byte = _PER_BYTE.get(mime_type) or _PER_BYTE.get(mime_type.partition("/")[0])
    return max(_TILE_TOKENS, int(size * per_byte)) if per_byte else _of_text(size)


def _tiles(data: str) -> int:
    sides = image_size(data)
    if sides is None:
        return _GUESSED_TILES
    width, height = sides
    if width <= _SMALL_SIDE and height <= _SMALL_SIDE:
        return 1
    unit = max(256, min(_TILE_SIDE, min(width, height) * 2 // 3))
    return min(_MOST_TILES, -(-width // unit) * -(-height // unit))

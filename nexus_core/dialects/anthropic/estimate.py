"""Estimate the prompt tokens of an Anthropic request, for routing and cost estimates.

Anthropic's tokenizer is not public. Its documentation says that a million tokens hold about 2.5
million characters of English with the tokenizer of Opus 4.7 and later, and some 3.4 million with
the one before. Bytes of UTF-8 are counted instead of characters: other scripts take more tokens a
character, in about the proportion of their bytes.
"""

from __future__ import annotations

import json
import math

from nexus_core.dialects.anthropic.models import family_of
from nexus_core.dialects.media import image_size
from nexus_core.types import JsonObject

TOKENS_PER_MESSAGE = 4  # what separates turns
TOKENS_FOR_TOOLS = 350  # the provider's own words around tool definitions
# https://platform.claude.com/docs/en/build-with-claude/vision
PIXELS_PER_TOKEN = 750
MAX_IMAGE_TOKENS = 1_600  # bigger images are scaled down first; also for those behind a URL
# https://platform.claude.com/docs/en/build-with-claude/pdf-support: text and picture of each page
TOKENS_PER_PAGE = 3_000
BYTES_PER_PAGE = 60_000  # of a PDF, by rule of thumb; its pages are not counted
_PAGES_BEHIND_A_URL = 10


def estimate_tokens(body: JsonObject) -> int:
    """Prompt tokens of a body that `translate_request` made, within some 20 % for plain text."""
    text_bytes, tokens = 0, 0
    for block in body.get("system", []):
        text_bytes += _size(block["text"])
    tools = body.get("tools")
    if tools:
        tokens += TOKENS_FOR_TOOLS
        text_bytes += _json_size(tools)
    schema = body.get("output_config", {}).get("format")
    if schema:
        text_bytes += _json_size(schema)
    for message in body["messages"]:
        tokens += TOKENS_PER_MESSAGE
        for block in message["content"]:
            block_bytes, block_tokens = _block(block)
            text_bytes += block_bytes
            tokens += block_tokens
    return tokens + math.ceil(text_bytes / family_of(body["model"]).chars_per_token)


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _json_size(value: object) -> int:
    try:
        return _size(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    except RecursionError:
        return 0  # nested as deep as can be: its size is the least of its troubles


def _block(block: JsonObject) -> tuple[int, int]:
    """Bytes of text in a block, and tokens known by other means."""
    match block["type"]:
        case "text":
            return _size(block["text"]), 0
        case "thinking":
            return _size(block["thinking"]), 0
        case "tool_use":
            return _size(block["name"]) + _json_size(block["input"]), 0
        case "tool_result":
            inner = [_block(part) for part in block.get("content", [])]
            return sum(size for size, _ in inner), sum(tokens for _, tokens in inner)
        case "image":
            return 0, _image(block["source"])
        case "document":
            return _document(block["source"])
        case _:
            return 0, 0


def _image(source: JsonObject) -> int:
    size = image_size(source["data"]) if source["type"] == "base64" else None
    if size is None:
        return MAX_IMAGE_TOKENS
    return max(1, min(MAX_IMAGE_TOKENS, math.ceil(size[0] * size[1] / PIXELS_PER_TOKEN)))


def _document(source: JsonObject) -> tuple[int, int]:
    if source["type"] == "text":
        return _size(source["data"]), 0
    pages = _PAGES_BEHIND_A_URL
    if source["type"] == "base64":
        pages = math.ceil(len(source["data"]) * 3 / 4 / BYTES_PER_PAGE)
    return 0, pages * TOKENS_PER_PAGE

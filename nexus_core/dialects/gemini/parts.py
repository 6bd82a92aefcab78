"""Translate non-text content into Gemini's parts: images, audio, files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from nexus_core.dialects.media import (
    Media,
    is_data_url,
    mime_type_of,
    read_base64,
    read_data_url,
    read_file,
)
from nexus_core.dialects.report import Findings
from nexus_core.types import JsonObject

# https://ai.google.dev/gemini-api/docs/file-input-methods
_IMAGES = frozenset({"image/png", "image/jpeg", "image/webp", "image/heic", "image/heif"})
_FILES = _IMAGES | {
    "application/pdf",
    "application/x-javascript",
    "application/x-python",
    "audio/aac",
    "audio/aiff",
    "audio/flac",
    "audio/mp3",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "video/3gpp",
    "video/mp4",
    "video/mpeg",
    "video/quicktime",
    "video/webm",
    "video/wmv",
    "video/x-flv",
}
_OTHER_NAMES = {"image/jpg": "image/jpeg", "audio/x-wav": "audio/wav", "audio/wave": "audio/wav"}
_AUDIO = {
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
}


def translate_parts(
    content: str | Iterable[Any] | None, path: str, findings: Findings
) -> list[JsonObject]:
    """Translate a message's content into parts; empty texts are left out.

    `path` names the content in the report, e.g. `messages[2].content`.
    """
    if not content:
        return []
    if isinstance(content, str):
        return [{"text": content}]
    translated = (
        _translate_part(part, f"{path}[{index}]", findings) for index, part in enumerate(content)
    )
    return [part for part in translated if part is not None]


def _translate_part(part: JsonObject, path: str, findings: Findings) -> JsonObject | None:
    for marker in ("cache_control", "prompt_cache_breakpoint"):
        if part.get(marker) is not None:
            findings.ignore(marker)  # Gemini caches by itself
    try:
        match part["type"]:
            case "image_url":
                return _image(part["image_url"], findings)
            case "input_audio":
                return _audio(part["input_audio"])
            case "file":
                return _file(part["file"])
            case kind:  # a text or a refusal, each under its own name
                return {"text": part[kind]} if part[kind] else None
    except ValueError as error:
        findings.unsupported[path] = str(error)
        return None


def _image(image: JsonObject, findings: Findings) -> JsonObject:
    if image.get("detail") not in (None, "auto"):
        findings.ignore("image_url.detail")
    url = image["url"]
    if not is_data_url(url):
        return _link(url, _IMAGES)
    return _inline(read_data_url(url), _IMAGES)


def _audio(audio: JsonObject) -> JsonObject:
    mime_type = _AUDIO.get(audio["format"].lower())
    if mime_type is None:
        raise ValueError(f"Gemini takes audio as {', '.join(_AUDIO)}")
    return _inline(Media(mime_type, read_base64(audio["data"]).data), _FILES)


def _file(file: JsonObject) -> JsonObject:
    data = file.get("file_data")
    if not data:
        raise ValueError("Gemini can't read files kept at OpenAI; send file_data")
    if data.startswith("https:"):
        return _link(data, _FILES)
    return _inline(read_file(data, file.get("filename")), _FILES)


def _inline(media: Media, allowed: frozenset[str]) -> JsonObject:
    mime_type = _allowed(media.mime_type, allowed, is_text=media.is_text)
    if not media.data:
        raise ValueError("it is empty")
    return {"inlineData": {"mimeType": mime_type, "data": media.data}}


def _link(url: str, allowed: frozenset[str]) -> JsonObject:
    """A file that Google fetches; without a media type in its URL Google detects it."""
    try:
        address = urlsplit(url)
    except ValueError as error:
        raise ValueError("invalid URL") from error
    if address.scheme != "https" or not address.netloc:
        raise ValueError("Gemini takes https: and data: URLs")
    mime_type = mime_type_of(address.path)
    if allowed is _IMAGES and not mime_type.startswith("image/"):
        mime_type = ""  # "photo.php" says nothing about what it sends
    if not mime_type:
        return {"fileData": {"fileUri": url}}
    is_text = mime_type.startswith("text/")
    mime_type = _allowed(mime_type, allowed, is_text=is_text)
    return {"fileData": {"fileUri": url, "mimeType": mime_type}}


def _allowed(mime_type: str, allowed: frozenset[str], *, is_text: bool) -> str:
    mime_type = _OTHER_NAMES.get(mime_type, mime_type)
    if mime_type in allowed:
        return mime_type
    if is_text and allowed is _FILES:
        return mime_type if mime_type.startswith("text/") else "text/plain"
    wanted = "an image" if allowed is _IMAGES else "a file"
    raise ValueError(f"Gemini does not take {mime_type or 'an unknown type'} as {wanted}")

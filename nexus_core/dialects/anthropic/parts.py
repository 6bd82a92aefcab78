"""Turn the parts of OpenAI's messages into Anthropic's content blocks, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

from nexus_core.dialects.anthropic.models import Family
from nexus_core.dialects.hub.request import AssistantPart, FilePart, ImagePart, ToolPart, UserPart
from nexus_core.dialects.media import Media, is_data_url, read_data_url, read_file
from nexus_core.dialects.report import Findings
from nexus_core.types import JsonObject, is_object

Part: TypeAlias = UserPart | AssistantPart | ToolPart

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

_LIFETIMES = ("5m", "1h")  # of a cache entry


class _CannotError(Exception):
    """Why a part can't be sent; for the client."""


def content_blocks(
    content: str | list[Part] | None, path: str, family: Family, findings: Findings
) -> list[JsonObject]:
    """Translate a message's content into blocks; blank text is left out: Anthropic refuses it.

    `path` is the content's place in the request, for the report of unsupported fields.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [text_block(content)] if content.strip() else []
    blocks: list[JsonObject] = []
    for index, part in enumerate(content):
        try:
            block = _block(part, family, findings)
        except _CannotError as error:
            findings.unsupported[f"{path}[{index}]"] = str(error)
            continue
        marker = cache_marker(part)
        if block is not None:
            blocks.append(block)
        if marker is not None and blocks:
            blocks[-1]["cache_control"] = marker
    return blocks


def text_block(text: str) -> JsonObject:
    """A block of text, which must not be blank."""
    return {"type": "text", "text": text}


def cache_marker(marked: Mapping[str, object]) -> JsonObject | None:
    """Anthropic's cache marker of a part, message or tool, whichever way a client sets it.

    OpenAI's breakpoints live for half an hour at least, which only the longer lifetime covers.
    """
    own = marked.get("cache_control")
    if is_object(own):
        marker: JsonObject = {"type": "ephemeral"}
        if own.get("ttl") in _LIFETIMES:
            marker["ttl"] = own["ttl"]
        return marker
    if is_object(marked.get("prompt_cache_breakpoint")):
        return {"type": "ephemeral", "ttl": "1h"}
    return None


def _block(part: Part, family: Family, findings: Findings) -> JsonObject | None:
    match part["type"]:
        case "text":
            return text_block(part["text"]) if part["text"].strip() else None
        case "refusal":
            return text_block(part["refusal"]) if part["refusal"].strip() else None
        case "image_url":
            return _image(part, family, findings)
        case "file":
            return _file(part, family)
        case _:
            raise _CannotError("Anthropic's models do not support audio input")


def _image(part: ImagePart, family: Family, findings: Findings) -> JsonObject:
    image = part["image_url"]
    if image.get("detail") not in {None, "auto"}:
        findings.ignore("image_url.detail")
    url = image["url"]
    if is_data_url(url):
        return _media(_read(url), family, None)
    if not family.images:
        raise _CannotError("the model does not support images")
    _check_https(url)
    return {"type": "image", "source": {"type": "url", "url": url}}


def _check_https(url: str) -> None:
    try:
        parsed = urlsplit(url)
    except ValueError:
        raise _CannotError("not a URL") from None
    if parsed.scheme != "https" or not parsed.netloc:
        raise _CannotError("Anthropic fetches from https: URLs only; data: URLs work too")


def _read(url: str) -> Media:
    try:
        return read_data_url(url)
    except ValueError as error:
        raise _CannotError(str(error)) from None


def _file(part: FilePart, family: Family) -> JsonObject:
    file = part["file"]
    name, data, file_id = file.get("filename"), file.get("file_data"), file.get("file_id")
    if data:
        try:
            return _media(read_file(data, name), family, name)
        except ValueError as error:
            raise _CannotError(str(error)) from None
    # The two providers' ids differ in one character: file_… is Anthropic's, file-… is OpenAI's.
    if file_id and file_id.startswith("file_") and family.pdfs:
        return _document({"type": "file", "file_id": file_id}, name)
    raise _CannotError("send the file's content as file_data; Anthropic has no such file_id")


def _media(media: Media, family: Family, name: str | None) -> JsonObject:
    if media.mime_type in IMAGE_TYPES:
        if not family.images:
            raise _CannotError("the model does not support images")
        source = {"type": "base64", "media_type": media.mime_type, "data": media.data}
        return {"type": "image", "source": source}
    if media.mime_type == "application/pdf":
        if not family.pdfs:
            raise _CannotError("the model does not support PDFs")
        source = {"type": "base64", "media_type": media.mime_type, "data": media.data}
        return _document(source, name)
    if not media.is_text:
        kind = media.mime_type or "a file of unknown type"
        raise _CannotError(f"{kind}: Anthropic takes JPEG, PNG, GIF, WebP, PDF and text")
    try:
        text = media.text()
    except ValueError:
        raise _CannotError("the text is not UTF-8") from None
    if not text.strip():
        raise _CannotError("the file is empty")
    return _document({"type": "text", "media_type": "text/plain", "data": text}, name)


def _document(source: JsonObject, name: str | None) -> JsonObject:
    block: JsonObject = {"type": "document", "source": source}
    if name:
        block["title"] = name
    return block

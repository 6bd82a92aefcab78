"""Turn the content of items into the parts of the hub's messages, one by one."""

from __future__ import annotations

from nexus_core.dialects.hub.conversation import text_part
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_list, is_object

_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_DETAILS = {"low": "low", "high": "high", "original": "high"}  # auto is what no detail means


def read_parts(content: object, path: str) -> list[JsonObject]:
    """The parts of a content; a string is one of text, blank texts are none.

    Raises:
        InvalidRequestError: a part is invalid, or only OpenAI can read it.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [text_part(content)] if content.strip() else []
    if not is_list(content):
        raise InvalidRequestError(f"{path}: a string or a list is required", param=path)
    found: list[JsonObject] = []
    for number, part in enumerate(content):
        place = f"{path}[{number}]"
        if isinstance(part, str):
            part = {"type": "text", "text": part}
        if not is_object(part):
            raise InvalidRequestError(f"{place}: an object is required", param=place)
        found += _part(part, place)
    return found


def _part(part: JsonObject, path: str) -> list[JsonObject]:
    kind = part.get("type")
    if isinstance(kind, str) and (kind in _TEXTS or kind == "refusal"):
        text = part.get("refusal" if kind == "refusal" else "text")
        if not isinstance(text, str):
            raise InvalidRequestError(f"{path}.text: a string is required", param=path)
        return [text_part(text)] if text.strip() else []
    match part:
        case {"type": "input_image" | "image_url" | "computer_screenshot"}:
            return [_image(part, path)]
        case {"type": "input_file"}:
            return [_file(part, path)]
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(form)}}:
            return [{"type": "input_audio", "input_audio": {"data": data, "format": form}}]
        case _:
            raise InvalidRequestError(
                f"{path}: only OpenAI backends take parts of type {str(kind)[:60]!r}", param=path
            )


def _image(part: JsonObject, path: str) -> JsonObject:
    url = part.get("image_url")
    if is_object(url):
        url = url.get("url")
    if not isinstance(url, str) or not url:
        raise InvalidRequestError(
            f"{path}.image_url: a URL or a data URL is required; only OpenAI has the files of its"
            " file_id",
            param=path,
        )
    image: JsonObject = {"url": url}
    detail = part.get("detail")
    if isinstance(detail, str) and detail in _DETAILS:
        image["detail"] = _DETAILS[detail]
    return {"type": "image_url", "image_url": image}


def _file(part: JsonObject, path: str) -> JsonObject:
    data, name = part.get("file_data"), part.get("filename")
    if not isinstance(data, str) or not data:
        raise InvalidRequestError(
            f"{path}.file_data: base64 is required; only OpenAI backends take a file_id or a"
            " file_url",
            param=path,
        )
    filename = name if isinstance(name, str) and name else "document.pdf"
    return {"type": "file", "file": {"filename": filename, "file_data": data}}


def texts_of(parts: list[JsonObject]) -> str:
    """The texts among parts, one below the other."""
    return "\n\n".join(part["text"] for part in parts if part["type"] == "text")

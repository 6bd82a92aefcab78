"""Turn the parts of Gemini's contents into the parts of the hub's, one by one."""

from __future__ import annotations

import base64
import json

from nexus_core.dialects.gemini.inbound.demand import is_kept_at_google
from nexus_core.dialects.hub.conversation import text_part
from nexus_core.errors import InvalidRequestError
from nexus_core.types import JsonObject, is_object

_STANDARD = str.maketrans("-_", "+/")
_AUDIO = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/ogg": "ogg",
    "audio/aac": "aac",
    "audio/aiff": "aiff",
}
_ONLY_GOOGLE = "only Google backends"


def read_part(part: JsonObject, path: str) -> list[JsonObject]:
    """A part of a user's: text, an image, a recording, a file; none for an empty text.

    Raises:
        InvalidRequestError: it is invalid, or only Google's models can read it.
    """
    if "text" in part:
        text = text_of(part, path)
        return [text_part(text)] if text else []
    if is_object(given := part.get("inlineData")):
        return [_inline(given, f"{path}.inlineData")]
    if is_object(given := part.get("fileData")):
        return [_linked(given, f"{path}.fileData")]
    if (code := code_of(part)) is not None:
        return [text_part(code)]
    if not part.keys() - {"thought", "thoughtSignature", "videoMetadata", "mediaResolution"}:
        return []
    kind = next(iter(part))[:60]
    raise InvalidRequestError(f"{path}: {_ONLY_GOOGLE} take parts of {kind!r}", param=path)


def text_of(part: JsonObject, path: str) -> str:
    """The text of a part; null is an empty one.

    Raises:
        InvalidRequestError: it is of another type.
    """
    text = part["text"]
    if text is not None and not isinstance(text, str):
        raise InvalidRequestError(f"{path}.text: a string is required", param=f"{path}.text")
    return text or ""


def code_of(part: JsonObject) -> str | None:
    """Code that a Gemini model ran, or what came of it, as text for another model."""
    if is_object(code := part.get("executableCode")):
        language = str(code.get("language") or "python").lower()
        return f"```{language}\n{code.get('code') or ''}\n```"
    if is_object(result := part.get("codeExecutionResult")):
        return f"{result.get('outcome') or 'Output'}:\n{result.get('output') or ''}"
    return None


def result_text(response: object) -> str:
    """What a function gave, as text: Google's `output` and `error`, else all of it as JSON."""
    if is_object(response) and len(response) == 1:
        ((name, value),) = response.items()
        if name in ("output", "result", "content") and isinstance(value, str):
            return value
        if name == "error" and isinstance(value, str):
            return f"Error: {value}"
    if isinstance(response, str):
        return response
    if response is None:
        return ""
    return json.dumps(response, ensure_ascii=False, separators=(",", ":"))


def _inline(given: JsonObject, path: str) -> JsonObject:
    kind, data = given.get("mimeType"), given.get("data")
    if not isinstance(kind, str) or not isinstance(data, str) or not kind or not data:
        raise InvalidRequestError(f"{path}: it has a mimeType and data", param=path)
    kind, data = kind.lower(), data.translate(_STANDARD)
    base = kind.partition(";")[0].strip()
    if base.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": f"data:{base};base64,{data}"}}
    if base in _AUDIO:
        return {"type": "input_audio", "input_audio": {"data": data, "format": _AUDIO[base]}}
    if base.startswith("text/"):
        return text_part(_decoded(data, path))
    name = given.get("displayName")
    if not isinstance(name, str) or not name:
        name = "document.pdf" if base == "application/pdf" else f"file.{base.rpartition('/')[2]}"
    return {"type": "file", "file": {"filename": name, "file_data": f"data:{base};base64,{data}"}}


def _decoded(data: str, path: str) -> str:
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True).decode()
    except ValueError as error:
        raise InvalidRequestError(f"{path}.data: no base64 of a text", param=path) from error


def _linked(given: JsonObject, path: str) -> JsonObject:
    uri, kind = given.get("fileUri"), str(given.get("mimeType") or "")
    if not isinstance(uri, str) or is_kept_at_google(uri):
        raise InvalidRequestError(
            f"{path}: {_ONLY_GOOGLE} can read this file; send it as inlineData", param=path
        )
    if not kind.lower().startswith("image/"):
        raise InvalidRequestError(
            f"{path}: {_ONLY_GOOGLE} fetch files that are no images; send it as inlineData",
            param=path,
        )
    return {"type": "image_url", "image_url": {"url": uri}}

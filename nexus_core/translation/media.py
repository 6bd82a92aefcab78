"""Read what a message carries beside text: data: URLs, base64, and the types of files."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
_BLANKS = re.compile(r"[ \t\r\n]+")
_URL_SAFE = str.maketrans("-_", "+/")
_MIME_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]+/[a-z0-9!#$&^_.+-]+")

# The first bytes of a file, in base64. What a client claims is often wrong, and providers check.
_SIGNATURES = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGODdh": "image/gif",
    "R0lGODlh": "image/gif",
    "JVBERi0": "application/pdf",
}

_MIME_TYPES = {
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "markdown": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "htm": "text/html",
    "xml": "text/xml",
    "json": "application/json",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}

_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/javascript"})


@dataclass(frozen=True, slots=True)
class Media:
    """A file's content, with the type that its bytes show, else the one it was given."""

    mime_type: str  # lower case, without parameters; "" when nobody knows
    data: str = field(repr=False)  # standard base64 without blanks, padded

    @property
    def is_text(self) -> bool:
        """Whether `text` makes sense of it."""
        return self.mime_type.startswith("text/") or self.mime_type in _TEXT_TYPES

    def text(self) -> str:
        """The content as UTF-8.

        Raises:
            ValueError: it is not.
        """
        return base64.b64decode(self.data).decode()


def is_data_url(url: str) -> bool:
    """Whether the URL holds its content itself."""
    return url[:5].lower() == "data:"


def read_data_url(url: str) -> Media:
    """The content of a `data:` URL (RFC 2397), base64 or percent-encoded.

    Raises:
        ValueError: in words for the client.
    """
    head, comma, content = url[5:].partition(",")
    if not is_data_url(url) or not comma:
        raise ValueError("not a data: URL of the form data:TYPE;base64,CONTENT")
    claimed, *parameters = (part.strip().lower() for part in head.split(";"))
    if claimed and not _MIME_TYPE.fullmatch(claimed):
        raise ValueError("the data: URL's media type is none")
    if "base64" in parameters:
        return read_base64(content, claimed or "text/plain")
    encoded = base64.b64encode(unquote_to_bytes(content)).decode()
    return Media(_shown_type(encoded) or claimed or "text/plain", encoded)


def read_base64(content: str, claimed: str = "") -> Media:
    """Content in base64, the URL-safe sort included.

    Raises:
        ValueError: it is not base64.
    """
    data = _BLANKS.sub("", content).translate(_URL_SAFE)
    if not _BASE64.fullmatch(data) or len(data.rstrip("=")) % 4 == 1:
        raise ValueError("the content is not base64")
    data = data.rstrip("=")
    data += "=" * (-len(data) % 4)
    return Media(_shown_type(data) or claimed, data)


def read_file(file_data: str, filename: str | None) -> Media:
    """A file part's content: a `data:` URL, or base64 alone with the type that its name tells.

    Raises:
        ValueError: it is neither.
    """
    if is_data_url(file_data):
        return read_data_url(file_data)
    return read_base64(file_data, mime_type_of(filename or ""))


def mime_type_of(name: str) -> str:
    """The type that a file name's or URL path's ending tells; "" when it tells none."""
    return _MIME_TYPES.get(name.rpartition(".")[2].lower(), "") if "." in name else ""


def _shown_type(data: str) -> str:
    """The type that the first bytes show; "" when they show none."""
    for signature, mime_type in _SIGNATURES.items():
        if data.startswith(signature):
            return mime_type
    if data.startswith("UklGR") and len(data) >= 16 and base64.b64decode(data[:16])[8:] == b"WEBP":
        return "image/webp"
    return ""

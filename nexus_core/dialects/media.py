"""Media in messages: data: URLs, base64, and file types."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
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

_HEAD_CHARS = 128 * 1024  # enough for what cameras put in front of a picture; a multiple of 4

_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/javascript"})


@dataclass(frozen=True, slots=True)
class Media:
    """A file's content and media type: the type its bytes show, else the declared one."""

    mime_type: str  # lower case, without parameters; "" when nobody knows
    data: str = field(repr=False)  # standard base64 without blanks, padded

    @property
    def is_text(self) -> bool:
        """Whether the content is text, which `text` decodes."""
        return self.mime_type.startswith("text/") or self.mime_type in _TEXT_TYPES

    def text(self) -> str:
        """The content as UTF-8.

        Raises:
            ValueError: it is not.
        """
        return base64.b64decode(self.data).decode()


def is_data_url(url: str) -> bool:
    """Whether it is a `data:` URL."""
    return url[:5].lower() == "data:"


def read_data_url(url: str) -> Media:
    """Decode a `data:` URL (RFC 2397), base64 or percent-encoded.

    Raises:
        ValueError: it is invalid; the message is for the client.
    """
    head, comma, content = url[5:].partition(",")
    if not is_data_url(url) or not comma:
        raise ValueError("not a data: URL of the form data:TYPE;base64,CONTENT")
    claimed, *parameters = (part.strip().lower() for part in head.split(";"))
    if claimed and not _MIME_TYPE.fullmatch(claimed):
        raise ValueError("the data: URL has no valid media type")
    if "base64" in parameters:
        return read_base64(content, claimed or "text/plain")
    encoded = base64.b64encode(unquote_to_bytes(content)).decode()
    return Media(_shown_type(encoded) or claimed or "text/plain", encoded)


def read_base64(content: str, claimed: str = "") -> Media:
    """Decode base64, the URL-safe alphabet included.

    Raises:
        ValueError: it is not base64.
    """
    data = "".join(content.split())  # several times faster than a pattern, on megabytes
    if "-" in data or "_" in data:
        data = data.translate(_URL_SAFE)
    if not _BASE64.fullmatch(data) or len(data.rstrip("=")) % 4 == 1:
        raise ValueError("the content is not base64")
    data = data.rstrip("=")
    data += "=" * (-len(data) % 4)
    return Media(_shown_type(data) or claimed, data)


def read_file(file_data: str, filename: str | None) -> Media:
    """Decode a file part: a `data:` URL, or plain base64 with the media type of its file name.

    Raises:
        ValueError: it is neither.
    """
    if is_data_url(file_data):
        return read_data_url(file_data)
    return read_base64(file_data, mime_type_of(filename or ""))


def mime_type_of(name: str) -> str:
    """Media type of a file name's or URL path's extension; "" for an unknown one."""
    return _MIME_TYPES.get(name.rpartition(".")[2].lower(), "") if "." in name else ""


def _shown_type(data: str) -> str:
    """Media type by the first bytes; "" if they are not recognised."""
    for signature, mime_type in _SIGNATURES.items():
        if data.startswith(signature):
            return mime_type
    if data.startswith("UklGR") and len(data) >= 16 and base64.b64decode(data[:16])[8:] == b"WEBP":
        return "image/webp"
    return ""


def image_size(data: str) -> tuple[int, int] | None:
    """Width and height in pixels of an image in base64; None if its header does not state them."""
    head = base64.b64decode(data[:_HEAD_CHARS])
    if head.startswith(b"\x89PNG") and len(head) >= 24:
        return int.from_bytes(head[16:20]), int.from_bytes(head[20:24])
    if head.startswith(b"GIF8") and len(head) >= 10:
        return int.from_bytes(head[6:8], "little"), int.from_bytes(head[8:10], "little")
    if head[8:12] == b"WEBP":
        return _webp_size(head)
    return _jpeg_size(head) if head.startswith(b"\xff\xd8") else None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    """https://developers.google.com/speed/webp/docs/riff_container"""
    if head[12:16] == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if head[12:16] == b"VP8 " and len(head) >= 30:
        width, height = head[26:28], head[28:30]
        return int.from_bytes(width, "little") & 0x3FFF, int.from_bytes(height, "little") & 0x3FFF
    if head[12:16] == b"VP8L" and len(head) >= 25:
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """Walk the segments up to the frame header: ITU T.81, annex B."""
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker = head[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            return int.from_bytes(head[at + 7 : at + 9]), int.from_bytes(head[at + 5 : at + 7])
        at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return None

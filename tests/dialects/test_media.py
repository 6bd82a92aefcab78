from __future__ import annotations

import base64
import struct

import pytest

from nexus_core.dialects.media import (
    image_size,
    is_data_url,
    mime_type_of,
    read_base64,
    read_data_url,
    read_file,
)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


WEBP = b"RIFF\x24\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\x8f\x01\0" + b"\x2b\x01\0"


@pytest.mark.parametrize(
    ("url", "mime_type", "data"),
    [
        ("data:text/plain;base64,aGk=", "text/plain", "aGk="),
        ("DATA:text/plain;charset=utf-8;BASE64,aGk", "text/plain", "aGk="),
        ("data:,hi%20you", "text/plain", encoded(b"hi you")),
        ("data:text/csv,a%2Cb", "text/csv", encoded(b"a,b")),
        ("data:application/octet-stream;base64,a_-k", "application/octet-stream", "a/+k"),
        ("data:image/x;base64,aG\r\n k=", "image/x", "aGk="),
        (f"data:image/jpeg;base64,{encoded(WEBP)}", "image/webp", encoded(WEBP)),
        ("data:image/jpeg;base64,R0lGODlh", "image/gif", "R0lGODlh"),
        ("data:;base64,", "text/plain", ""),
    ],
)
def test_a_data_url_is_read(url: str, mime_type: str, data: str) -> None:
    media = read_data_url(url)

    assert (media.mime_type, media.data) == (mime_type, data)
    assert is_data_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png",
        "data:image/png;base64,%%%",
        "data:image/png;base64,aaaaa",
        "data:image/png;base64,a=aa",
        "data:no type;base64,aGk=",
        "https://example.org/,",
        "",
    ],
)
def test_what_is_no_data_url_is_a_value_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"data: URL|base64"):
        read_data_url(url)


@pytest.mark.parametrize(
    ("file_data", "filename", "mime_type"),
    [
        ("aGk=", "notes.MD", "text/markdown"),
        ("aGk=", "notes", ""),
        ("aGk=", None, ""),
        ("JVBERi0xLjQ=", "notes.txt", "application/pdf"),
        ("data:text/html;base64,aGk=", "notes.txt", "text/html"),
    ],
)
def test_a_files_type_is_shown_by_its_bytes_then_told_by_its_name(
    file_data: str, filename: str | None, mime_type: str
) -> None:
    assert read_file(file_data, filename).mime_type == mime_type


@pytest.mark.parametrize(
    ("name", "mime_type"), [("a.PNG", "image/png"), ("a.b.json", "application/json"), ("png", "")]
)
def test_a_name_tells_a_type(name: str, mime_type: str) -> None:
    assert mime_type_of(name) == mime_type


@pytest.mark.parametrize(
    ("mime_type", "is_text"),
    [("text/x-python", True), ("application/json", True), ("image/png", False), ("", False)],
)
def test_text_is_known_by_its_type(mime_type: str, is_text: bool) -> None:
    assert read_base64("aGk=", mime_type).is_text is is_text


def test_text_is_utf8_or_a_value_error() -> None:
    assert read_base64(encoded("grüß".encode())).text() == "grüß"
    with pytest.raises(ValueError, match="utf-8"):
        read_base64("/w==").text()


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF" + b"\0" * 10 + b"\xff\xc4\x00\x03\0"
    b"\xff\xc2\x00\x11\x08" + struct.pack(">HH", 300, 400) + b"\x03" + b"\0" * 9
)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 400, 300), (400, 300)),
        (b"GIF89a" + struct.pack("<HH", 400, 300), (400, 300)),
        (JPEG, (400, 300)),
        (WEBP, (400, 300)),
        (b"RIFF....WEBPVP8 ....\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 400, 300), (400, 300)),
        (b"RIFF....WEBPVP8L....\x2f" + (399 | 299 << 14).to_bytes(4, "little"), (400, 300)),
        (b"\x89PNG", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"\xff\xd8\xff\xe0\0\0\xff\xe0\0\0\0\0\0\0", None),
        (b"RIFF....WEBPVP9 " + b"\0" * 20, None),
        (b"GIF", None),
        (b"", None),
    ],
)
def test_an_images_head_tells_its_size(data: bytes, size: tuple[int, int] | None) -> None:
    assert image_size(encoded(data)) == size

"""Read whole answers: what all formats share."""

from __future__ import annotations

import re

from nexus_core.dialects.parsing import parse_json
from nexus_core.types import JsonValue

_TEXT_BEGIN = re.compile(rb'\s*:\s*"')
_TEXT_END = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"')


def parse_answer(body: bytes) -> JsonValue:
    """Parse a whole answer; NaN is taken, which Python's servers write.

    Raises:
        ValueError: it is not JSON; the message is for people.
    """
    try:
        return parse_json(body, allows_nan=True)
    except ValueError as error:
        raise ValueError("answered with a body that is not JSON") from error


def length_of_texts(pattern: re.Pattern[bytes], data: bytes) -> int:
    """Bytes of the texts that a pattern finds, as JSON writes them."""
    texts: list[bytes] = pattern.findall(data)
    length = sum(map(len, texts))
    if b"\\u" in data:
        # Some servers write "é" as six bytes; in UTF-8 it would be two or three.
        length -= 3 * sum(text.count(b"\\u") for text in texts)
    return length


def length_of_named_texts(name: bytes, data: bytes) -> int:
    """Bytes of the texts that follow a name, such as `"text"`, as JSON writes them.

    What `length_of_texts` gives for a pattern of that name; faster where a read has many events.
    """
    if name not in data:
        return 0
    length = 0
    has_escapes = b"\\" in data
    for piece in data.split(name)[1:]:
        if piece.startswith(b':"'):
            begin = 2
        elif piece.startswith(b': "'):
            begin = 3
        elif (found := _TEXT_BEGIN.match(piece)) is not None:
            begin = found.end()
        else:
            continue  # a value, or the name of something that is no text
        end = piece.find(b'"', begin)
        if has_escapes and piece.find(b"\\", begin, end) >= 0:
            whole = _TEXT_END.match(piece, begin)
            end = -1 if whole is None else whole.end() - 1
            length -= 3 * piece.count(b"\\u", begin, max(begin, end))
        if end >= 0:
            length += end - begin
    return length

"""Read whole answers: what all formats share."""

from __future__ import annotations

import re

from nexus_core.dialects.parsing import parse_json
from nexus_core.types import JsonValue


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

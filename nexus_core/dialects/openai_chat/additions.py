"""Detect servers that refuse `stream_options.include_usage`, which Nexus adds to streams. Pure."""

from __future__ import annotations

import re

from nexus_core.dialects.error_report import MAX_SCANNED, read_error_body
from nexus_core.late_pattern import LatePattern

# As servers that refuse it name it …
_NAMES_ADDITION = LatePattern(rb"stream_?options|include_?usage", re.I)
# … and what those say that name no field, or nothing at all.
_REFUSES_SOMETHING = LatePattern(
    rb"extra_forbidden|extra (?:inputs?|fields?)|additional ?propert|unexpected (?:keyword|field)"
    rb"|(?:unknown|unrecognized|unrecognised|unsupported|invalid) (?:request )?"
    rb"(?:fields?|arguments?|parameters?|propert(?:y|ies)|keys?|options?)"
    rb"|not permitted",
    re.I,
)
_SAYS_NO_MORE = LatePattern(
    r"(?:bad request|invalid request|unprocessable (?:entity|content)|validation (?:error|failed)"
    r"|invalid request body)?\W*",
    re.I,
)


def refuses_addition(status: int, body: bytes) -> bool:
    """Whether an error may be caused by the `stream_options` that Nexus added.

    In doubt the answer is True: a mistake costs one more request, which fails in the same way.

    Args:
        status: of the status line, or the one reported in the body of a 2xx answer.
    """
    if status < 400 or status in (401, 402, 403, 408, 429):
        return False
    text = body[:MAX_SCANNED]
    if _NAMES_ADDITION.search(text):
        return True
    if status not in (400, 422):
        return False
    if _REFUSES_SOMETHING.search(text):
        return True
    return not text.lstrip().startswith(b"<") and bool(
        _SAYS_NO_MORE.fullmatch(read_error_body(body).words)
    )

"""Describe schema keywords unsupported by a provider in the description, for the model."""

from __future__ import annotations

import json

from nexus_core.types import JsonObject

_MOST_CHARS = 1_000  # of one value


def described(description: str | None, words: JsonObject) -> str | None:
    """The description with keywords and their values appended."""
    if not words:
        return description
    text = "{" + ", ".join(f"{key}: {_shown(value)}" for key, value in words.items()) + "}"
    return f"{description}\n\n{text}" if description else text


def _shown(value: object) -> str:
    if isinstance(value, str):
        text = value
    else:
        try:
            text = json.dumps(value, ensure_ascii=False)
        except RecursionError:  # what could just be parsed is a few levels too deep for this call
            return "…"
    return text if len(text) <= _MOST_CHARS else text[:_MOST_CHARS] + "…"

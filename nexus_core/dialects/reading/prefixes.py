"""Prefixes of a conversation: numbers by which a later turn of it is recognised; token guesses."""

from __future__ import annotations

import json

import msgspec

CHARS_PER_TOKEN = 4  # of English prose; close enough to detect a prompt that is far too long
TOKENS_PER_IMAGE = 85  # the least that a model takes for one
TOKENS_PER_MESSAGE = 4  # what a chat template adds
_MAX_HASHED_CHARS = 64 * 1024  # of a conversation: enough to recognise it

_in_order = msgspec.json.Encoder(order="sorted").encode


class Prefixes:
    """A running hash over a conversation, one number after each message."""

    __slots__ = ("_found", "_hashed", "_state")

    def __init__(self, model: str) -> None:
        self._state = hash(model)
        self._hashed = 0
        self._found: list[int] = []

    def take(self, text: str) -> None:
        """Add a text of the message under way."""
        if self._hashed <= _MAX_HASHED_CHARS:
            self._hashed += len(text)
            if self._hashed <= _MAX_HASHED_CHARS:
                self._state = hash((self._state, text))

    def add(self, role: str) -> None:
        """End the message under way."""
        if self._hashed <= _MAX_HASHED_CHARS:
            self._state = hash((self._state, role))
            self._found.append(self._state)

    @property
    def found(self) -> tuple[int, ...]:
        """One number for each beginning, the shortest first."""
        return tuple(self._found)


def dumped(value: object) -> bytes:
    """The same for values that are equal, in whatever order their keys came."""
    try:
        return _in_order(value)
    except (UnicodeError, OverflowError):  # a lone surrogate, a huge number
        return json.dumps(value, sort_keys=True).encode()
    except RecursionError:  # it could be read, with not much room left
        return b""

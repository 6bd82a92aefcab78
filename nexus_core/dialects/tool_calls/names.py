"""Map tool names to names valid for a provider, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256

import msgspec

_OTHER = re.compile(r"[^a-zA-Z0-9_]+")
_DIGEST_CHARS = 8


def slug(text: str, max_chars: int) -> str:
    """Reduce a text to ASCII letters, digits and _; empty if it has none.

    A long text keeps both ends: MCP names begin with the server and end with the tool.
    """
    word = _OTHER.sub("_", text[:1000]).strip("_")
    if len(word) > max_chars:
        head = (max_chars - 1) // 2
        word = f"{word[:head]}_{word[head + 1 - max_chars :]}"
    return word


class NameRule(msgspec.Struct, frozen=True):
    """Rule for valid tool names of a provider."""

    pattern: re.Pattern[str]
    max_chars: int

    def takes(self, name: str) -> bool:
        """Whether the name is valid."""
        return self.pattern.fullmatch(name) is not None

    def candidate(self, name: str, attempt: int) -> str:
        """A valid name, always the same for one input; different inputs rarely get the same."""
        salted = name if not attempt else f"{name}\0{attempt}"
        digest = sha256(salted.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
        word = slug(name, self.max_chars - _DIGEST_CHARS - 3)
        if not word or not word[0].isalpha():
            word = f"n_{word}" if word else "n"
        return f"{word}_{digest}"


class Names:
    """Mapping of the names of one request or tool, both ways; distinct names stay distinct."""

    def __init__(self, rule: NameRule, names: Iterable[str] = ()) -> None:
        self._rule = rule
        self._sent: dict[str, str] = {}
        self._given: dict[str, str] = {}
        odd: list[str] = []
        for name in names:
            if rule.takes(name):
                self._sent[name] = self._given[name] = name
            else:
                odd.append(name)
        for name in odd:
            self.sent(name)

    @property
    def renamed(self) -> dict[str, str]:
        """Renamed names only: the original and the sent name."""
        return {name: sent for name, sent in self._sent.items() if name != sent}

    def sent(self, name: str) -> str:
        """The name sent to the provider; a new name is added."""
        known = self._sent.get(name)
        if known is not None:
            return known
        sent, attempt = name, 0
        while not self._rule.takes(sent) or sent in self._given:
            sent = self._rule.candidate(name, attempt)
            attempt += 1
        self._sent[name] = sent
        self._given[sent] = name
        return sent

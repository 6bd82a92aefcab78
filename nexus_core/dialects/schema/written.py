"""Result of translating a schema into a provider's dialect, and its report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nexus_core.dialects.tool_calls.arguments import Arguments
from nexus_core.types import JsonObject, is_list, is_object

_MAX_LINES = 8
_MAX_NAMES = 10
_MAX_NAME_CHARS = 40
_MAX_PLACE_CHARS = 200


class CannotSayError(Exception):
    """The provider's dialect can't express the schema, and a looser one would be wrong."""

    def __init__(self, place: str, why: str) -> None:
        """`place` is within the schema, "" for its root."""
        super().__init__(why)
        self.place = place.lstrip(".")[:_MAX_PLACE_CHARS]
        self.why = why


@dataclass(frozen=True, slots=True)
class Written:
    """A schema in a provider's dialect. Shared between requests: never change it."""

    schema: JsonObject = field(repr=False)
    arguments: Arguments | None = None  # None: calls come back as they are
    notes: tuple[str, ...] = ()  # each begins with ": " or with ".PLACE: "


class Notes:
    """Report of one schema's translation: places and keywords, no values."""

    def __init__(self, *given: Iterable[tuple[str, str]]) -> None:
        self._lines = list(dict.fromkeys(line for lines in given for line in lines))
        self._described: dict[str, None] = {}

    def add(self, place: str, what: str) -> None:
        """Note a place where the schema was loosened."""
        self._lines.append((place.lstrip("."), what))

    def describe(self, keywords: Iterable[str]) -> None:
        """Note keywords that are only in a description."""
        self._described.update(dict.fromkeys(keywords))

    def lines(self, renamed: Iterable[str] = ()) -> tuple[str, ...]:
        """The report's lines, bounded; `renamed` are the client's keys the provider refuses."""
        lines = [
            f".{place[:_MAX_PLACE_CHARS]}: {what}" if place else f": {what}"
            for place, what in self._lines
        ]
        lines = list(dict.fromkeys(lines))
        if len(lines) > _MAX_LINES:
            lines[_MAX_LINES:] = [f": and {len(lines) - _MAX_LINES} more places"]
        if keys := _listed(renamed):
            lines.append(f": keys renamed, and restored in calls: {keys}")
        if keywords := _listed(self._described):
            lines.append(f": in descriptions only: {keywords}")
        return tuple(lines)


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = [name[:_MAX_NAME_CHARS] for name in every[:_MAX_NAMES]]
    return ", ".join(shown) + (", …" if len(every) > _MAX_NAMES else "")


def rename_words(words: object, renamed: Mapping[str, str]) -> object:
    """Apply renamed keys to the values in a description."""
    if not renamed:
        return words
    if is_list(words):
        return [rename_words(each, renamed) for each in words]
    if not is_object(words):
        return words
    return {
        renamed.get(key, key): [renamed.get(name, name) for name in value if isinstance(name, str)]
        if key == "required" and is_list(value)
        else rename_words(value, renamed)
        for key, value in words.items()
    }

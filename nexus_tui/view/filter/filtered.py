"""A list that a filter can be set on, and what to say while one is typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from nexus_tui.view.filter.grammar import quoted
from nexus_tui.view.filter.language import Filter, Language, Names, Row

_LAST = re.compile(r"[^\s(|!]*$")  # the term that is being typed
_TYPED = re.compile(
    r"([a-z][a-z0-9_-]*)(?::|(?=[<>=!]))(?:.*,)?(?:<=|>=|!=|=|<|>)?(.*)", re.I | re.S
)
_PLAIN = re.compile(r'[^\s"\\(),|]+')
_FEW = 2  # letters from which a name is completed


Item = TypeVar("Item")


@dataclass(frozen=True)
class Filtered:
    """A list that can be filtered: its language, its filter, and how to set it."""

    kind: str  # for people, as requests; lists of one kind have one history
    example: str  # what may be typed
    language: Language[Any]
    current: Callable[[], Filter[Any]]
    set: Callable[[str], None]
    names: Callable[[], Names | None] = lambda: None

    def told(self) -> tuple[str, bool]:
        """What to say beside the filter, and whether it is a warning; perhaps nothing."""
        current = self.current()
        if warning := current.problem or current.hint:
            return warning, True
        found = _TYPED.fullmatch(_last_term(current.text))
        key = (
            self.language.by_name.get(self.language.names.get(found[1].lower(), ""))
            if found
            else None
        )
        return (f"{key.meaning}:  {key.values}", False) if key else ("", False)

    def completed(self, text: str) -> str | None:
        """The text with its last term completed; None where nothing is known to follow."""
        term = _last_term(text)
        if (found := _TYPED.fullmatch(term)) is None:
            if len(term) < _FEW:
                return None
            return _first(text, term, self._heads())
        key = self.language.names.get(found[1].lower(), "")
        if not found[2] or key not in self.language.by_name:
            return None
        return _first(text, found[2], self._values(key))

    def _heads(self) -> Iterator[str]:
        yield from (f"{key.name}:" for key in self.language.keys)
        yield from (flag.name for flag in self.language.flags)

    def _values(self, key: str) -> Iterator[str]:
        yield from self.language.by_name[key].options
        if (names := (self.names() or {}).get(key)) is not None:
            yield from sorted({*names()})


class OwnFilter(Generic[Row]):
    """The filter of a list that holds its rows itself."""

    def __init__(
        self, kind: str, example: str, language: Language[Row], names: Names | None = None
    ) -> None:
        self._language = language
        self._names: Names = names or {}
        self.current: Filter[Row] = Filter()
        self.filtered = Filtered(
            kind=kind,
            example=example,
            language=language,
            current=lambda: self.current,
            set=self.set,
            names=lambda: self._names,
        )

    def set(self, text: str) -> None:
        """Show only what matches; the empty text shows everything."""
        self.current = self._language.parse(text, self._names)

    def of(self, rows: Sequence[Item]) -> Sequence[Item]:
        """Those that match; of one of the types that the filter can tell apart."""
        current: Filter[Any] = self.current
        return [row for row in rows if current.matches(row)] if current.tests else rows


def _last_term(text: str) -> str:
    if text.count('"') % 2:
        return ""
    found = _LAST.search(text)
    return found[0] if found else ""


def _first(text: str, begun: str, options: Iterator[str]) -> str | None:
    begin = begun.casefold()
    for option in options:
        if len(option) > len(begun) and option.casefold().startswith(begin):
            kept = text[: len(text) - len(begun)]
            return kept + (
                begun + option[len(begun) :] if _PLAIN.fullmatch(option) else quoted(option)
            )
    return None

"""Line numbers of the keys and values in a TOML file; the parser does not give them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import tomli

from nexus_core.config.schema import KeyPath

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?""""{0,2}'
    r"|'''.*?''''{0,2}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'",
    re.DOTALL,
)
_OTHER_VALUE = re.compile(r"[^,\]}\n#]*")


class Span(NamedTuple):
    """A range of the text, by offsets."""

    start: int
    end: int


class Place(NamedTuple):
    """The place of a key and its value in the text."""

    line: int  # from 1
    key: Span  # dotted keys and headers as a whole; of a list's item the value
    value: Span | None  # None for a table that is no value: a header, a part of a dotted key


def locate(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every table, key and list item of a valid TOML document."""
    return {path: place.line for path, place in places(text).items()}


def places(text: str) -> dict[KeyPath, Place]:
    """The place of every table, key and list item of a valid TOML document."""
    walk = _Walk(text)
    while walk.skip_blank():
        if walk.peek() == "[":
            walk.header()
        else:
            walk.pair(walk.table)
    return walk.places


class _Walk:
    """A walk over text that tomli has accepted; it only has to know where things begin and end."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.places: dict[KeyPath, Place] = {}
        self.table: KeyPath = ()
        self._line_starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._last_index: dict[KeyPath, int] = {}  # of each array of tables

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def skip_blank(self) -> bool:
        """Pass over space and comments; False at the end of the text."""
        self.at = self._end(_BLANK)
        return self.at < len(self.text)

    def header(self) -> None:
        line, start = self._line(), self.at
        brackets = 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        keys = self._key()
        self.at += brackets
        place = Place(line, Span(start, self.at), None)
        if brackets == 2:
            array = (*self._current(keys[:-1], place), keys[-1])
            self._last_index[array] = self._last_index.get(array, -1) + 1
            self.places.setdefault(array, place)
        self.table = self._current(keys, place)
        self.places[self.table] = place

    def pair(self, table: KeyPath) -> None:
        line, start = self._line(), self.at
        keys = self._key()
        key = Span(start, start + len(self.text[start : self.at].rstrip()))
        path = table
        for part in keys:
            path = (*path, part)
            self.places.setdefault(path, Place(line, key, None))
        self.at += 1  # the equals sign
        self.skip_blank()
        self.places[path] = Place(self.places[path].line, key, self._value(path))

    def _value(self, path: KeyPath) -> Span:
        start = self.at
        if self.peek() == "[":
            for index in self._items("]"):
                line = self._line()
                span = self._value((*path, index))
                self.places[(*path, index)] = Place(line, span, span)
        elif self.peek() == "{":
            for _ in self._items("}"):
                self.pair(path)
        else:
            self.at = self._end(_STRING) if self.peek() in "\"'" else self._end(_OTHER_VALUE)
        return Span(start, start + len(self.text[start : self.at].rstrip()))

    def _items(self, closing: str) -> Iterator[int]:
        """Stop at the beginning of each item between the brackets, then pass the closing one."""
        self.at += 1
        for index in count():
            self.skip_blank()
            if self.peek() in closing:  # or at the end of the text
                break
            yield index
            self.skip_blank()
            if self.peek() == ",":
                self.at += 1
        self.at += 1

    def _key(self) -> list[str]:
        """A bare, quoted or dotted key, with the space around it."""
        keys: list[str] = []
        while True:
            self.skip_blank()
            start, is_quoted = self.at, self.peek() in ('"', "'")
            self.at = self._end(_STRING if is_quoted else _BARE_KEY)
            word = self.text[start : self.at]
            keys.append(str(tomli.loads(f"key = {word}")["key"]) if is_quoted else word)
            self.skip_blank()
            if self.peek() != ".":
                return keys
            self.at += 1

    def _current(self, keys: list[str], place: Place) -> KeyPath:
        """The path of a header's keys, each array of tables meaning its last table so far."""
        path: KeyPath = ()
        for key in keys:
            path = (*path, key)
            self.places.setdefault(path, place)
            if path in self._last_index:
                path = (*path, self._last_index[path])
        return path

    def _end(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.at)
        return match.end() if match else self.at + 1

    def _line(self) -> int:
        return bisect_right(self._line_starts, self.at)

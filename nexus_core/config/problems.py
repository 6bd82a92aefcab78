"""Problems of a config file: each with its place, its line and a caret below it.

Of a line only the key and the value in question are shown, so that nothing around them is told; the
value is masked where it may be a secret: by its looks, by its key's name, or as no key of ours.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

from nexus_core.config.schema import Config, KeyPath
from nexus_core.config.sections.base import may_be_a_key
from nexus_core.config.toml_faults import fault_of
from nexus_core.config.toml_lines import Place, Span, places
from nexus_core.config.wording import shown_path, written_out
from nexus_core.errors import ConfigError, ConfigProblem

_WIDTH = 72  # cells of a line; a dialog of the dashboard has 76
_INDENT = "  "
_MASK = "…"
_PLAIN = re.compile(r"[-+]?[0-9][0-9_.]*|true|false|inf|nan")
_SECRET_KEY = re.compile(r"key|token|secret|passw|auth|credential", re.IGNORECASE)
_CREDENTIALS = re.compile(r"[@?#{]")  # of a URL; or a table, which may hold any key
_LONGEST_VALUE = 80
# The beginning of a line that is no TOML: the words of a key or of a header, and what follows.
_BEGINNING = re.compile(r"[ \t]*(\[*[A-Za-z0-9_. -]+\]*)([ \t]*=[ \t]*)?(.*)")


class Problems:
    """Collected problems of a configuration: in the file, each with its place, and outside it."""

    def __init__(self, path: Path | None, text: str = "") -> None:
        self._name = str(path)
        self._text = text
        self._places = places(text) if text else {}
        self._in_file: list[tuple[int, int, ConfigProblem]] = []
        self._outside: list[ConfigProblem] = []
        self._sections: set[str | int] = set()

    def add(self, path: KeyPath, text: str, *, is_key: bool = False) -> None:
        """Something in the file: about a value, or with `is_key` about the key itself."""
        self._sections.update(path[:1])
        message = f"{shown_path(path)}: {text}"
        place = self._places.get(path)
        if place is None:  # a missing key is reported where its table stands
            is_key = True
            while path and place is None:
                path = path[:-1]
                place = self._places.get(path)
        if place is None:
            self._in_file.append((1, 1, ConfigProblem(f"{self._name}:1: {message}")))
            return
        span = place.key if is_key or place.value is None else place.value
        line, column = _position(self._text, span.start)
        located = f"{self._name}:{line}: {message}"
        excerpt = _excerpt(self._text, place, message, is_key=is_key)
        self._in_file.append((line, column, ConfigProblem(located, excerpt)))

    def add_outside(self, text: str) -> None:
        """Something in the environment or on the command line."""
        self._outside.append(ConfigProblem(text))

    def concern(self, section: str) -> bool:
        """Whether something in this top-level table is wrong, so that its values are not known."""
        return section in self._sections

    def raise_if_any(self) -> None:
        """
        Raises:
            ConfigError: there is one; each is reported once, in the order of the file.
        """
        self._in_file.sort(key=lambda found: (*found[:2], found[2].text))
        found = [problem for _, _, problem in self._in_file] + self._outside
        if problems := list(dict.fromkeys(found)):
            raise ConfigError(problems)


def syntax_problem(path: Path, text: str, at: int, message: str) -> ConfigProblem:
    """Problem of invalid TOML; only words of the format are shown, no values.

    Args:
        at: the offset at which the parser stopped.
        message: the parser's.
    """
    line, column, message = fault_of(text, at, message, _known_words())
    located = f"{path}:{line}:{column}: {message}"
    lines = text.split("\n")
    source = lines[line - 1] if line <= len(lines) else ""
    found = _BEGINNING.fullmatch(source)
    if found is None:
        return ConfigProblem(located)
    words, equals, rest = found.groups()
    if not set(re.findall(r"[^\[\]. ]+", words)) <= _known_words() or (rest and not equals):
        return ConfigProblem(located)
    value = rest.strip()
    if value and (_PLAIN.fullmatch(value) is None or _SECRET_KEY.search(words)):
        value = _MASK
    before = words + (equals or "")
    shown = before + value
    indent = len(source) - len(source.lstrip(" \t"))
    caret = min(max(0, column - 1 - indent), len(before if value == _MASK else shown))
    return ConfigProblem(located, _with_caret(shown[:caret], shown[caret:]))


@cache
def _known_words() -> frozenset[str]:
    """Every name of a key or section that the format has."""
    schema = Config.model_json_schema()
    return frozenset(
        name
        for node in (schema, *schema.get("$defs", {}).values())
        for name in node.get("properties", {})
    )


def _position(text: str, at: int) -> tuple[int, int]:
    """Line and column, both from 1."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def _excerpt(text: str, place: Place, message: str, *, is_key: bool) -> tuple[str, ...]:
    """The key and its value as they are written, and a caret under one of them."""
    key = _piece(text, place.key)
    if place.value is None:
        return () if may_be_a_key(key) else _with_caret("", key)
    value = _piece(text, place.value)
    if place.key == place.value:  # an item of a list, whose name is not on this line
        return _with_caret("", value if _may_be_shown(value, "", message) else _masked(value))
    if may_be_a_key(key):
        return ()
    # What an unknown key is for nobody knows, so its value may be anything.
    is_harmless = not is_key or _PLAIN.fullmatch(value) is not None
    if not is_harmless or not _may_be_shown(value, key, message):
        value = _masked(value)
    between = text[place.key.end : place.value.start]
    if is_key:
        return _with_caret("", key + between + value)
    return _with_caret(key + between, value)


def _piece(text: str, span: Span) -> str:
    """What stands there, as far as its first line goes."""
    first, newline, _ = text[span.start : span.end].partition("\n")
    return first.rstrip() + (_MASK if newline else "")


def _may_be_shown(value: str, key: str, message: str) -> bool:
    if may_be_a_key(value) or len(value) > _LONGEST_VALUE:
        return False
    return value in message or not (_SECRET_KEY.search(key) or _CREDENTIALS.search(value))


def _masked(value: str) -> str:
    """`"…"` for a text, `[…]` for a list."""
    brackets = {'"': '"', "'": "'", "[": "]", "{": "}"}
    return f"{value[0]}{_MASK}{brackets[value[0]]}" if value[:1] in brackets else _MASK


def _with_caret(before: str, after: str) -> tuple[str, str]:
    """The line, cut where it is longer than a screen is wide, and the caret under `after`."""
    before, after = written_out(before), written_out(after)
    if len(before) > _WIDTH // 2:
        before = _MASK + before[1 - _WIDTH // 2 :]
    room = _WIDTH - len(before)
    if len(after) > room:
        after = after[: room - 1] + _MASK
    return _INDENT + before + after, _INDENT + " " * _cells(before) + "^"


def _cells(text: str) -> int:
    """How wide a text is on a terminal."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )

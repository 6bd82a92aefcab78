"""Grammar of the filter language: text to a tree, and the tree to text again. Pure.

    filter   = any { ("or" | "|") any }        blanks between terms mean "and"
    any      = term { ["and" | "&"] term }
    term     = ("!" | "not") term | "(" filter ")" | key:values | word
    values   = value { "," value }             a comma means "or"
    value    = ["=" | "!=" | "<" | "<=" | ">" | ">="] text
    text     = characters without blanks, or "in quotes", where backslash escapes

Every text has a tree: what is open at the end is closed there, and an operator with nothing to
work on is left out, as both happen while somebody types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Op: TypeAlias = Literal["", "=", "!=", "<", "<=", ">", ">="]

_KEY = re.compile(r"([a-zA-Z][a-zA-Z0-9_-]*)(:|<=|>=|!=|=|<|>)")
_OP = re.compile(r"<=|>=|!=|=|<|>")
_NEEDS_QUOTES = re.compile(r'[\s"\\(),|]')
_AND, _OR, _NOT = ("and", "&"), ("or", "|"), ("not", "!")
_MAX_DEPTH = 30  # of parentheses

# The tree -----------------------------------------------------------------------------------------


class Value(NamedTuple):
    """One of a key's values."""

    op: Op
    text: str
    is_quoted: bool = False

    def __str__(self) -> str:
        return self.op + (quoted(self.text) if self.is_quoted else self.text)


@dataclass(frozen=True, slots=True)
class Word:
    """A word or phrase to look for."""

    text: str
    is_quoted: bool = False  # it is a word, whatever it looks like
    unknown_key: str = ""  # what stands before its colon, which is no key

    def __str__(self) -> str:
        if self.is_quoted:
            return quoted(self.text)
        if not _needs_quotes(self.text):
            return self.text
        found = _KEY.match(self.text) if self.unknown_key else None
        at = found.end() if found else 0  # behind the sign
        return self.text[:at] + quoted(self.text[at:])


@dataclass(frozen=True, slots=True)
class Term:
    """A key and its values, of which one must hold."""

    key: str  # as the table of keys calls it
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"{self.key}:{','.join(map(str, self.values))}"


@dataclass(frozen=True, slots=True)
class Fault:
    """What can't be read; it stands where it was written."""

    text: str
    problem: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Not:
    """The inverse."""

    item: Node

    def __str__(self) -> str:
        return f"!{_grouped(self.item)}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of them hold; of none that is true."""

    items: tuple[Node, ...]

    def __str__(self) -> str:
        return " ".join(
            _grouped(item) if isinstance(item, OneOf) else str(item) for item in self.items
        )


@dataclass(frozen=True, slots=True)
class OneOf:
    """At least one of them holds."""

    items: tuple[Node, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.items))


Node: TypeAlias = Word | Term | Fault | Not | AllOf | OneOf
EVERYTHING = AllOf(())


def _grouped(node: Node) -> str:
    return f"({node})" if isinstance(node, AllOf | OneOf) else str(node)


def _all(items: list[Node]) -> Node:
    flat = [part for item in items for part in (item.items if isinstance(item, AllOf) else (item,))]
    return flat[0] if len(flat) == 1 else AllOf(tuple(flat))


def _any(items: list[Node]) -> Node:
    flat = [part for item in items for part in (item.items if isinstance(item, OneOf) else (item,))]
    return flat[0] if len(flat) == 1 else OneOf(tuple(flat))


def _not(item: Node) -> Node:
    if isinstance(item, Not):
        return item.item
    return item if isinstance(item, Fault) else Not(item)


# Writing ------------------------------------------------------------------------------------------


def quoted(text: str) -> str:
    """The text in quotes, to be read again as it is."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def term(key: str, value: str | None) -> str:
    """The filter for exactly this value of a key; None: for rows that have none.

    `term("backend", "gpu box")` is `backend:="gpu box"`.
    """
    text = value or ""
    is_plain = bool(text) and not _NEEDS_QUOTES.search(text) and not _OP.match(text)
    return f"{key}:={text if is_plain else quoted(text)}"


# Reading ------------------------------------------------------------------------------------------


class _Token(NamedTuple):
    kind: Literal["word", "open", "close", "or", "and", "not"]
    chars: tuple[tuple[str, bool], ...] = ()  # each with whether it was in quotes


def parse(text: str, keys: Mapping[str, str], *, is_strict: bool = True) -> Node:
    """The tree of a text; never fails.

    Args:
        keys: every name of a key, in small letters, with the name that the table gives it.
        is_strict: `key=value` is as `key:=value`; else it is a word as any other, and only a
            colon makes a key.
    """
    return _Parser(list(_tokens(text)), keys, is_strict=is_strict).filter()


def _tokens(text: str) -> Iterator[_Token]:
    at, depth = 0, 0
    while at < len(text):
        char = text[at]
        if char.isspace():
            at += 1
        elif char == "|":
            yield _Token("or")
            at += 1
        elif char == "!":
            yield _Token("not")
            at += 1
        elif char == "(":
            yield _Token("open")
            at, depth = at + 1, depth + 1
        elif char == ")" and depth:
            yield _Token("close")
            at, depth = at + 1, depth - 1
        else:
            chars, at = _word(text, at, depth)
            yield _operator(chars) or _Token("word", chars)


def _word(text: str, at: int, depth: int) -> tuple[tuple[tuple[str, bool], ...], int]:
    """The characters of a word that begins there, and where it ends.

    A parenthesis within a word belongs to it; one more that closes ends it, where one is open.
    """
    chars: list[tuple[str, bool]] = []
    own, is_in_quotes = 0, False
    while at < len(text):
        char = text[at]
        if is_in_quotes and char == "\\" and at + 1 < len(text):
            at += 1
            chars.append((text[at], True))
        elif char == '"':
            is_in_quotes = not is_in_quotes
            chars.append(("", True))
        elif is_in_quotes:
            chars.append((char, True))
        elif char.isspace() or char == "|" or (char == ")" and depth and not own):
            break
        else:
            own += (char == "(") - (char == ")" and own > 0)
            chars.append((char, False))
        at += 1
    return tuple(chars), at


def _operator(chars: tuple[tuple[str, bool], ...]) -> _Token | None:
    if any(is_quoted for _, is_quoted in chars):
        return None
    word = "".join(char for char, _ in chars).casefold()
    kinds: dict[str, _Token] = {
        **dict.fromkeys(_AND, _Token("and")),
        **dict.fromkeys(_OR, _Token("or")),
        **dict.fromkeys(_NOT, _Token("not")),
    }
    return kinds.get(word)


class _Parser:
    def __init__(self, tokens: list[_Token], keys: Mapping[str, str], *, is_strict: bool) -> None:
        self._tokens = tokens
        self._at = 0
        self._keys = keys
        self._is_strict = is_strict

    def filter(self, depth: int = 0) -> Node:
        alternatives: list[Node] = []
        items: list[Node] = []
        while self._at < len(self._tokens):
            kind = self._tokens[self._at].kind
            if kind == "close":
                self._at += 1
                if depth:
                    break
            elif kind == "or":
                self._at += 1
                if items:
                    alternatives.append(_all(items))
                    items = []
            elif kind == "and":
                self._at += 1
            elif (item := self._item(depth)) is not None:
                items.append(item)
        if items:
            alternatives.append(_all(items))
        return _any(alternatives) if alternatives else EVERYTHING

    def _item(self, depth: int) -> Node | None:
        """The next term; None where there is nothing, as after `!` at the end."""
        inverts = False
        while self._at < len(self._tokens) and self._tokens[self._at].kind == "not":
            inverts = not inverts
            self._at += 1
        if self._at >= len(self._tokens):
            return None
        token = self._tokens[self._at]
        if token.kind == "open":
            self._at += 1
            if depth >= _MAX_DEPTH:
                return Fault("(", "too many parentheses")
            item: Node | None = self.filter(depth + 1)
        elif token.kind == "word":
            self._at += 1
            item = self._leaf(token.chars)
        else:
            return None
        if item is None or item == EVERYTHING:
            return None
        return _not(item) if inverts else item

    def _leaf(self, chars: tuple[tuple[str, bool], ...]) -> Node | None:
        text = "".join(char for char, _ in chars)
        plain = "".join(char if not is_quoted else "\0" for char, is_quoted in chars)
        found = _KEY.match(plain)
        if found is None:
            if not text:
                return None
            is_quoted = any(is_quoted for _, is_quoted in chars)
            if _OP.match(plain):
                return Fault(text, f'"{text}" needs a key before it, as in cost:>0.01')
            if plain.startswith(")"):
                return Fault(text, 'there is a ")" without a "("')
            return Word(text, is_quoted or _needs_quotes(text))
        name, sign = found[1].lower(), found[2]
        if sign != ":" and not self._is_strict:
            return Word(text, _needs_quotes(text) or "\0" in plain)
        key = self._keys.get(name)
        if key is None:
            return Word(text, unknown_key=name)
        rest = chars[found.end() if sign == ":" else found.start(2) :]
        return _values(key, rest)


def _needs_quotes(text: str) -> bool:
    return _NEEDS_QUOTES.search(text) is not None


def _values(key: str, chars: tuple[tuple[str, bool], ...]) -> Node:
    parts: list[list[tuple[str, bool]]] = [[]]
    for char in chars:
        if char == (",", False):
            parts.append([])
        else:
            parts[-1].append(char)
    values = [_value(part) for part in parts if part]
    if not values:
        return Term(key, (Value("", ""),))
    first = values[0].op
    if first in ("=", "!="):  # it is said once for all of them
        values = [value._replace(op=value.op or first) for value in values]
    if first == "!=" and all(value.op == "!=" for value in values):
        return Not(Term(key, tuple([value._replace(op="=") for value in values])))
    return Term(key, tuple(values))


def _value(chars: list[tuple[str, bool]]) -> Value:
    text = "".join(char for char, _ in chars)
    plain = "".join("\0" if is_quoted else char for char, is_quoted in chars)
    op: Op = ""
    if found := _OP.match(plain):
        op = found[0]  # type: ignore[assignment]  # as the pattern says
        text = text[found.end() :]
    is_quoted = any(is_quoted for _, is_quoted in chars) or _needs_quotes(text)
    return Value(op, text, is_quoted)

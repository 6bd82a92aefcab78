"""Filter language of one kind of row: its table of keys, and a text made into a test of rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeAlias, TypeVar, assert_never

from nexus_tui.view.filter.grammar import (
    EVERYTHING,
    AllOf,
    Fault,
    Node,
    Not,
    OneOf,
    Term,
    Value,
    Word,
    parse,
)

Row = TypeVar("Row")
Test: TypeAlias = Callable[[Row], bool]
# Names that there are, by key: of backends, of models. What is in none of them is told.
Names: TypeAlias = Mapping[str, Callable[[], Iterable[str]]]


@dataclass(slots=True)
class Clock:
    """The time by which rows are old, and the ages at which a filter's answer changes."""

    now: Callable[[], float] = time.time  # seconds since the epoch
    ages: set[float] = field(default_factory=set)  # seconds


Make: TypeAlias = Callable[[Value, Clock], Test[Row]]  # ValueError: what must be there instead


@dataclass(frozen=True)
class Key(Generic[Row]):
    """A key of the table: `name:value`."""

    name: str
    values: str  # what may be written, for the table
    meaning: str
    make: Make[Row]
    also: tuple[str, ...] = ()  # other names that people try
    is_number: bool = False
    options: tuple[str, ...] = ()  # all values there are, where they are few


@dataclass(frozen=True)
class Flag(Generic[Row]):
    """A word of the table that stands alone."""

    name: str
    meaning: str
    test: Test[Row]
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Filter(Generic[Row]):
    """A filter of rows; the empty one matches everything, one with a problem nothing."""

    text: str = ""
    tree: Node = EVERYTHING
    tests: tuple[Test[Row], ...] = ()  # all must hold
    problem: str | None = None  # for people: what can't be read
    hint: str | None = None  # for people: a name that nothing has, so far
    ages: tuple[float, ...] = ()  # seconds; when a row becomes so old, its answer may be another

    def matches(self, row: Row) -> bool:
        for test in self.tests:  # noqa: SIM110  a third of the time of all()
            if not test(row):
                return False
        return True

    def __str__(self) -> str:
        """The same filter, written plainly."""
        return str(self.tree)


@dataclass(frozen=True)
class Language(Generic[Row]):
    """A filter language: the table of one kind of row.

    `is_strict`: a key may be written without a colon before a sign, as `cost>0.01`.
    """

    keys: tuple[Key[Row], ...]
    flags: tuple[Flag[Row], ...]
    word: Callable[[str], Test[Row]]  # of a word in small letters
    words: str  # what words are looked for in, for the table
    shorts: Callable[[str], str | None] = lambda _: None  # a word that is short for key:value
    is_strict: bool = True

    @cached_property
    def names(self) -> dict[str, str]:
        """Every name of a key, with the one in the table."""
        return {name: key.name for key in self.keys for name in (key.name, *key.also)}

    @cached_property
    def by_name(self) -> dict[str, Key[Row]]:
        return {key.name: key for key in self.keys}

    @cached_property
    def flag_tests(self) -> dict[str, Test[Row]]:
        return {name: flag.test for flag in self.flags for name in (flag.name, *flag.also)}

    def parse(
        self, text: str, names: Names | None = None, now: Callable[[], float] = time.time
    ) -> Filter[Row]:
        """Read a filter; never fails, what can't be read is told in `problem`.

        Takes 20 microseconds or so, and some milliseconds to find what a wrong name might mean.

        Args:
            names: those that there are, by key. A colon within one of them makes no key, and what
                is in none of them is told. None: they are not known, and a word with a colon is
                one.
            now: the time by which `last:` and the like are measured.
        """
        tree = parse(text, self.names, is_strict=self.is_strict)
        return _Reader(self, names, Clock(now)).filter(text.strip(), tree)


class _Reader(Generic[Row]):
    def __init__(self, language: Language[Row], names: Names | None, clock: Clock) -> None:
        self._language = language
        self._names = names
        self._clock = clock
        self._problem: str | None = None
        self._hint: str | None = None

    def filter(self, text: str, tree: Node) -> Filter[Row]:
        items = tree.items if isinstance(tree, AllOf) else (tree,)
        tests = tuple([self._test(item) for item in items])
        if self._problem is not None:
            return Filter(text, tree, (_nothing,), self._problem)
        return Filter(text, tree, tests, None, self._hint, tuple(sorted(self._clock.ages)))

    def _test(self, node: Node) -> Test[Row]:
        match node:
            case Word():
                return self._word(node)
            case Term():
                return self._term(node)
            case Fault():
                return self._fault(node.problem)
            case Not():
                return _inverse(self._test(node.item))
            case AllOf():
                return _all([self._test(item) for item in node.items])
            case OneOf():
                return _any([self._test(item) for item in node.items])
            case _:
                assert_never(node)

    def _fault(self, problem: str) -> Test[Row]:
        self._problem = self._problem or problem
        return _nothing

    def _word(self, word: Word) -> Test[Row]:
        text = word.text.casefold()
        if word.is_quoted and "," not in text:  # with a comma it counts as quoted in any case
            return self._language.word(text)
        if (flag := self._language.flag_tests.get(text)) is not None:
            return flag
        if (written := self._language.shorts(text)) is not None:
            return self._test(parse(written, self._language.names))
        if word.unknown_key and self._names is not None and not self._is_in_a_name(text):
            key = word.unknown_key
            near = did_you_mean(key, self._language.names)
            if near or not word.text.startswith(":", len(key)):
                told = near or f"; keys are {', '.join(self._language.by_name)}"
                return self._fault(f'unknown key "{key}"{told}')
            self._hint = self._hint or f'no key is called "{key}", and no name holds "{word.text}"'
        return self._language.word(text)

    def _is_in_a_name(self, text: str) -> bool:
        return any(
            text in name.casefold() for names in (self._names or {}).values() for name in names()
        )

    def _term(self, term: Term) -> Test[Row]:
        key = self._language.by_name[term.key]
        try:
            tests = [key.make(value, self._clock) for value in _checked(key, term.values)]
        except ValueError as error:
            return self._fault(f"{key.name}: {error}")
        self._hint = self._hint or self._nobody(term)
        return _any(tests)

    def _nobody(self, term: Term) -> str | None:
        """What to say of a name that nothing has."""
        known = (self._names or {}).get(term.key)
        if known is None or not all(value.text for value in term.values):
            return None
        names = list(known())
        wanted = [(value.op, value.text.casefold()) for value in term.values]
        if not names or any(_suits(name.casefold(), *one) for name in names for one in wanted):
            return None
        text = term.values[0].text
        return f'{term.key}: none is called "{text}"{did_you_mean(text, names)}'


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """As of the configuration's messages, which take a while to load and are seldom needed."""
    from nexus_core.config import wording

    return wording.did_you_mean(word, choices)


def _suits(name: str, op: str, text: str) -> bool:
    return name == text if op == "=" else text in name


def _checked(key: Key[Row], values: Collection[Value]) -> Collection[Value]:
    """The values of a term.

    Raises:
        ValueError: among several there is one that makes no sense there.
    """
    signs = {value.op for value in values}
    if key.is_number and len(values) > 1 and "" in signs:
        raise ValueError("a comma means or; write thousands without it, as 1000 or 1k")
    return values


# Tests --------------------------------------------------------------------------------------------


def _nothing(_row: object) -> bool:
    return False


def _inverse(test: Test[Row]) -> Test[Row]:
    return lambda row: not test(row)


def _all(tests: list[Test[Row]]) -> Test[Row]:
    def test(row: Row) -> bool:
        for one in tests:  # noqa: SIM110
            if not one(row):
                return False
        return True

    return tests[0] if len(tests) == 1 else test


def _any(tests: list[Test[Row]]) -> Test[Row]:
    def test(row: Row) -> bool:
        for one in tests:  # noqa: SIM110
            if one(row):
                return True
        return False

    return tests[0] if len(tests) == 1 else test

"""Model aliases: exact names and globs, the chains they form, and the faults of a table. Pure.

An alias whose name has a `*` (any characters) or a `?` (one character) is a glob. An exact name
wins over every glob; of several globs the one with the longest text before its first wildcard
wins, then the one with more text in all, then the first. A glob that leads to the very name it
matches ends there, so that `"claude-*" = "claude-sonnet-4-6"` is no loop; an exact alias to
itself keeps a name from the globs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

MAX_ALIAS_STEPS = 3

_WILDCARD = re.compile(r"[*?]")
_MAX_TABLES = 8


def is_glob(name: str) -> bool:
    """Whether a name stands for many."""
    return _WILDCARD.search(name) is not None


def matches(glob: str, name: str) -> bool:
    """Whether a glob, or an exact name, means this name."""
    return glob == name or _matcher(glob)(name) is not None


def may_overlap(glob: str, other: str) -> bool:
    """Whether two globs may mean a name in common: what stands before their wildcards agrees."""
    one, two = _beginning(glob), _beginning(other)
    return one.startswith(two) or two.startswith(one)


class _Globs:
    """The globs of one table of aliases, the most specific first."""

    __slots__ = ("aliases", "globs")

    def __init__(self, aliases: Mapping[str, str]) -> None:
        self.aliases = aliases  # kept, so that no other one gets its identity
        globs = sorted((name for name in aliases if is_glob(name)), key=_rank)
        self.globs = [(name, _matcher(name)) for name in globs]

    def find(self, name: str) -> str | None:
        return next((glob for glob, match in self.globs if match(name)), None)


_tables: dict[int, _Globs] = {}  # by the identity of the table of aliases


def _globs_of(aliases: Mapping[str, str]) -> _Globs:
    table = _tables.get(id(aliases))
    if table is None:
        if len(_tables) >= _MAX_TABLES:
            _tables.clear()
        table = _tables[id(aliases)] = _Globs(aliases)
    return table


def matching_alias(name: str, aliases: Mapping[str, str]) -> str | None:
    """The alias that renames a model: the name itself, or a glob. None where the name stays."""
    table = _globs_of(aliases)
    key = name if name in aliases else table.find(name)
    return None if key is None or aliases[key] == name else key


def resolve_aliases(model: str, aliases: Mapping[str, str]) -> tuple[str, ...]:
    """The requested name and its aliases in order; the last one is the served model."""
    names = [model]
    while len(names) <= MAX_ALIAS_STEPS:
        key = matching_alias(names[-1], aliases)
        if key is None:
            break
        names.append(aliases[key])
    return tuple(names)


def followed_aliases(resolved: tuple[str, ...], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """The alias of each step that `resolve_aliases` took, as it stands in the table.

    Of a step that another table took it is the name itself.
    """
    return tuple(matching_alias(name, aliases) or name for name in resolved[:-1])


def faults_of_aliases(
    aliases: Mapping[str, str], shown: Callable[[str], str]
) -> Iterator[tuple[str, str]]:
    """Each alias that can't stand as it is, and why.

    All that a request may run into is found: after its first step it is at a name of the table.

    Args:
        shown: how a name is written in a message.
    """
    in_a_reported_cycle: set[str] = set()
    for start, target in aliases.items():
        if is_glob(target):
            yield start, f"leads to {shown(target)}, which has a wildcard; name one model"
            continue
        if start == target:
            if not any(glob != start and match(start) for glob, match in _globs_of(aliases).globs):
                yield start, f"is a cycle: {shown(start)} -> {shown(start)}"
            continue
        chain = [start]
        while (key := matching_alias(chain[-1], aliases)) and aliases[key] not in chain:
            chain.append(aliases[key])
        names = " -> ".join(shown(name) for name in chain[: MAX_ALIAS_STEPS + 2])
        again = aliases[key] if key is not None else None
        # A glob is in no chain but its own: its cycle begins at the name that it leads to.
        if again is not None and again in (start, chain[1] if is_glob(start) else start):
            if not in_a_reported_cycle.intersection(chain):
                yield start, f"is a cycle: {names} -> {shown(again)}"
            in_a_reported_cycle.update(chain)
        elif again is None and len(chain) > MAX_ALIAS_STEPS + 1:
            yield start, f"is a chain longer than {MAX_ALIAS_STEPS}: {names}"


def _matcher(glob: str) -> Callable[[str], re.Match[str] | None]:
    """The test of a name, in linear time: clients choose the names.

    Between two wildcards the first place that fits will do, so nothing is tried again.
    """
    first, *others = (_one_or_exact(part) for part in glob.split("*"))
    if not others:
        return re.compile(first, re.DOTALL).fullmatch
    *between, last = others
    pattern = "".join((first, *(f"(?>.*?{part})" for part in between if part), f".*{last}"))
    return re.compile(pattern, re.DOTALL).fullmatch


def _one_or_exact(part: str) -> str:
    return "".join("." if char == "?" else re.escape(char) for char in part)


def _beginning(glob: str) -> str:
    return _WILDCARD.split(glob, maxsplit=1)[0]


def _rank(glob: str) -> tuple[int, int]:
    return -len(_beginning(glob)), -len(_WILDCARD.sub("", glob))

"""Suggest similar names for a mistyped one, among thousands, in milliseconds. Pure.

difflib compares whole texts with one another and takes seconds for ten thousand names. Here each
name has a signature, an integer with a bit for every letter and pair of letters in it; comparing
two of these takes a fraction of a microsecond. Only the names with the most in common are compared
in full, by the longest common subsequence: a few integer operations for each letter.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Generator, Iterable
from functools import lru_cache
from itertools import islice, pairwise

MAX_NAMES = 20_000  # that are looked at; there are no more models than that anywhere
COMPARED = 32  # in full
CUTOFF = 0.6  # of the similarity, as difflib's own

_MAX_CHARS = 256  # of a name; what follows does not count
_HEAD_CHARS, _TAIL_CHARS = 48, 16  # of a long name, for its signature
_LETTER_BITS, _PAIR_BITS = 64, 256
_LETTERS = tuple(1 << place for place in range(_LETTER_BITS))
_PAIRS = tuple(1 << _LETTER_BITS + place for place in range(_PAIR_BITS))
_AT_ONCE = 128  # names; a millisecond or two when they are new

Similarity = Callable[[str, str], float]


def near_names(
    word: str,
    names: Iterable[str],
    *,
    limit: int = 3,
    suits: Callable[[str], bool] | None = None,
    similarity: Similarity | None = None,
) -> list[str]:
    """The names most similar to `word`, best first; case-insensitive.

    Takes half a microsecond a name, and ten the first time that it is seen, and then 3 milliseconds
    at the most. On an event loop ask for a `shortlist` before.

    Args:
        suits: asked about names in the order of their likeness, until `limit` were found.
        similarity: of two names, 0 to 1; None: `likeness`.
    """
    compare = likeness if similarity is None else similarity
    asked = word[:_MAX_CHARS].lower()
    compared = [(compare(asked, name.lower()), name) for name in _drained(_steps(word, names))]
    found: list[str] = []
    for score, name in sorted(compared, key=lambda pair: (-pair[0], pair[1])):
        if score < CUTOFF or len(found) >= limit:
            break
        if suits is None or suits(name):
            found.append(name)
    return found


async def shortlist(word: str, names: Iterable[str]) -> list[str]:
    """The few names that are worth a comparison; the loop has its turn every millisecond or two."""
    steps = _steps(word, names)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: list[str] = end.value
            return found
        await asyncio.sleep(0)


def likeness(one: str, other: str) -> float:
    """Similarity from 0 to 1: twice the longest common subsequence over both lengths.

    Takes a quarter of a microsecond for each letter of `other`. Hyyrö's bit-parallel algorithm:
    https://doi.org/10.1007/978-3-540-27801-6_5
    """
    one, other = one[:_MAX_CHARS], other[:_MAX_CHARS]
    if not one or not other:
        return 0.0
    places: dict[str, int] = {}
    for number, char in enumerate(one):
        places[char] = places.get(char, 0) | 1 << number
    whole = (1 << len(one)) - 1
    left = whole  # a zero for each letter of `one` that is in the subsequence
    for char in other:
        matched = left & places.get(char, 0)
        left = ((left + matched) | (left - matched)) & whole
    return 2 * (len(one) - left.bit_count()) / (len(one) + len(other))


def _steps(word: str, names: Iterable[str]) -> Generator[None, None, list[str]]:
    """Look at some names at each step, and return those with the most in common with `word`."""
    wanted = _signature(word[:_MAX_CHARS])
    size = wanted.bit_count()
    best: list[tuple[float, int, str]] = []  # what they share, a number of their own, the name
    left = enumerate(islice(names, MAX_NAMES))
    while batch := list(islice(left, _AT_ONCE)):
        for number, name in batch:
            bits = _signature(name)
            shared = (wanted & bits).bit_count() / (size + bits.bit_count() or 1)
            best.append((shared, -number, name))
        best = heapq.nlargest(COMPARED, best)
        yield
    return [name for _, _, name in best]


def _drained(steps: Generator[None, None, list[str]]) -> list[str]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: list[str] = end.value
            return found


@lru_cache(maxsize=2 * MAX_NAMES)
def _signature(name: str) -> int:
    if len(name) > _HEAD_CHARS + _TAIL_CHARS:
        name = name[:_HEAD_CHARS] + name[-_TAIL_CHARS:]
    codes = [ord(char) for char in name.lower()]
    bits = 0
    for code in set(codes):
        bits |= _LETTERS[code % _LETTER_BITS]
    for first, second in pairwise(codes):
        bits |= _PAIRS[(31 * first + second) % _PAIR_BITS]
    return bits

"""How long near names among 10,000 models take, against one JSON parse of the list of them.

The reference in the same run is what every client of the list does: parsing GET /v1/models. Wanted:
below the reference once the names were seen, whatever they are like, and no step of a search above
10 ms, since the event loop waits for it. difflib, which compares whole names, is shown
beside it for names as they really are; for those that are all alike it takes minutes.
Run: python benchmarks/names.py
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Coroutine, Sequence
from difflib import get_close_matches
from functools import partial
from random import Random

from nexus_core.near_names import near_names, shortlist

NAMES = 10_000
ROUNDS = 9


def real(random: Random) -> list[str]:
    """Names as a hub of models has them."""
    families = ("llama", "mistral", "qwen", "gemma", "phi", "gpt", "claude", "deepseek", "falcon")
    kinds = ("instruct", "chat", "base", "code", "awq")
    return [
        f"{random.choice(families)}-{random.randint(1, 9)}.{random.randint(0, 9)}"
        f"-{random.choice((7, 8, 13, 34, 70))}b-{random.choice(kinds)}-{number}"
        for number in range(NAMES)
    ]


def chance(random: Random) -> list[str]:
    """Of 256 characters, without anything in common."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789-."
    return ["".join(random.choices(letters, k=256)) for _ in range(NAMES)]


def milliseconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return statistics.median(taken) * 1000


def longest_step(asked: str, names: Sequence[str]) -> tuple[float, float]:
    """A first search: all of it, and the longest time that the loop waits; milliseconds of CPU."""

    async def search() -> float:
        return await stepping(shortlist(asked, names))

    started = time.process_time()
    longest = asyncio.run(search())
    return (time.process_time() - started) * 1000, longest


async def stepping(search: Coroutine[object, None, object]) -> float:
    """The longest step of a coroutine that waits for nothing but its turn; milliseconds of CPU."""
    longest = 0.0
    while True:
        started = time.process_time()
        try:
            search.send(None)
        except StopIteration:
            return longest
        longest = max(longest, (time.process_time() - started) * 1000)


def main() -> None:
    random = Random(1)
    cases = {
        "real names": ("mistral-7b-instrct", real(random)),
        "all alike": ("a" * 256, ["a" * 250 + f"{number:06d}" for number in range(NAMES)]),
        "all different": ("x" * 256, chance(random)),
    }
    for title, (asked, names) in cases.items():
        entries = [
            {"id": name, "object": "model", "created": 1_800_000_000, "owned_by": "hub"}
            for name in names
        ]
        listed = json.dumps({"object": "list", "data": entries})
        reference = milliseconds(partial(json.loads, listed))
        whole, longest = longest_step(asked, names)
        near = milliseconds(partial(near_names, asked, names))
        print(f"{title} ({NAMES:,} of {len(names[0])} characters or so)")
        print(f"  reference        {reference:7.2f} ms   parsing the list")
        print(f"  near names       {near:7.2f} ms   {near / reference:5.2f} x the reference")
        print(f"  the first time   {whole:7.2f} ms   in steps; the longest {longest:.2f} ms")
    asked, names = cases["real names"]
    started = time.process_time()
    get_close_matches(asked, names, n=3)
    print(f"difflib, real names {(time.process_time() - started) * 1000:7.2f} ms")


if __name__ == "__main__":
    main()

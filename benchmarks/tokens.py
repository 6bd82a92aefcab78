"""How long counting a request's tokens takes, and loading the vocabularies.

The reference in the same run is what no count can do without: tiktoken encoding the same text in
one call. Wanted: a chat of 2 KB below 1 ms.
Run: python benchmarks/tokens.py
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from functools import partial

from nexus_core.dialects.hub.prompt import prompt_of
from nexus_core.tokens.count import count_tokens
from nexus_core.tokens.vocabularies import Tokenizers
from nexus_core.types import TokenCount

PROSE = "All happy families are alike; each unhappy family is unhappy in its own way. "
NUMBER = 200


def chat(kilobytes: int) -> dict[str, object]:
    """As many messages of 256 bytes as make up the size."""
    text = (PROSE * 4)[:256]
    return {"messages": [{"role": "user", "content": text}] * (kilobytes * 4)}


def counted(tokenizers: Tokenizers, model: str, fields: dict[str, object]) -> TokenCount:
    return count_tokens(tokenizers, model, prompt_of(fields))


def microseconds(statement: Callable[[], object]) -> float:
    return min(timeit.repeat(statement, number=NUMBER, repeat=5)) / NUMBER * 1e6


def main() -> None:
    tokenizers = Tokenizers()
    started = time.perf_counter()
    tokenizers.load()
    print(f"{'load':18} {(time.perf_counter() - started) * 1e3:8.1f} ms   both vocabularies")
    for kilobytes in (2, 16):
        text = ((PROSE * 4)[:256]) * (kilobytes * 4)
        reference = microseconds(partial(tokenizers.count, "o200k_base", text))
        print(f"{f'reference {kilobytes} KB':18} {reference:8.1f} us   one encoding of the text")
        for model in ("gpt-4o", "gpt-4", "claude-opus-5"):
            fields = chat(kilobytes)
            taken = microseconds(partial(counted, tokenizers, model, fields))
            ratio = taken / reference
            print(f"{f'{model} {kilobytes} KB':18} {taken:8.1f} us   {ratio:5.2f} x the reference")


if __name__ == "__main__":
    main()

"""Names in a sentence: the first few, and how many more there are."""

from __future__ import annotations

from collections.abc import Sequence


def some_names(names: Sequence[str], most: int) -> str:
    """`a, b and 3 more`; all of them where there are so many at most."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown

"""The table of keys as Textual takes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textual.binding import Binding
from textual.keys import _character_to_key

from nexus_tui.keys import Key


def as_bindings(keys: Iterable[Key], action: str = "do") -> list[Binding]:
    """One binding for each key; its action gets the id, and says whether it is for here."""
    return [
        Binding(
            ",".join(_names(key)),
            f"{action}({key.id!r})",
            key.help,
            show=False,
            id=key.id,
            priority=key.id == "interrupt",
        )
        for key in keys
    ]


def _names(key: Key) -> Iterator[str]:
    for name in key.keys:
        yield _character_to_key(name) if len(name) == 1 else name
        if len(name) == 1 and name.isupper():
            yield f"shift+{name.lower()}"  # as terminals with the kitty protocol send it

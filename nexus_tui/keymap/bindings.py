"""Key bindings in Textual's form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from textual.binding import Binding

# No public way takes a comma for a key.
from textual.keys import _character_to_key  # pyright: ignore[reportPrivateUsage]

from nexus_tui.keymap.keys import Key, Keymap


def as_bindings(keys: Iterable[Key], action: str = "do") -> list[Binding]:
    """Textual bindings of the key table, one per key; the action gets the id."""
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


@runtime_checkable
class Keyed(Protocol):
    """An app with a keymap."""

    @property
    def keymap(self) -> Keymap: ...


def panic_keys(app: object) -> list[str]:
    """Keys that cut the open zone, in Textual's names; they work over everything."""
    return list(_names(app.keymap["panic"])) if isinstance(app, Keyed) else []


def _names(key: Key) -> Iterator[str]:
    for name in key.keys:
        yield _character_to_key(name) if len(name) == 1 else name
        if len(name) == 1 and name.isupper():
            yield f"shift+{name.lower()}"  # as terminals with the kitty protocol send it

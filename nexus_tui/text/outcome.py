"""How a request went, in a word beside its status."""

from __future__ import annotations

from typing import Protocol


class Ended(Protocol):
    """A request as far as its outcome is concerned: of the screen, or of `nexus requests`."""

    @property
    def status(self) -> int | None: ...
    @property
    def client_left(self) -> bool: ...
    @property
    def has_error(self) -> bool: ...
    @property
    def is_live(self) -> bool: ...


def outcome_word(row: Ended) -> str:
    """`left` of a client that went away, `cut` of an answer that broke off, `live` while it runs.

    Empty where the status says it all.
    """
    if row.client_left:
        return "left"
    if row.has_error:
        return "cut" if (row.status or 0) < 400 else ""
    return "live" if row.is_live else ""

"""Collect what becomes of a request's fields while it is translated."""

from __future__ import annotations

from nexus_core.translation.openai import JsonObject
from nexus_core.translation.report import Translation, UnsupportedFieldsError


class Findings:
    """One translation's notes; the same note twice is kept once."""

    def __init__(self) -> None:
        self._refused: dict[str, str] = {}
        self._dropped: dict[str, str] = {}
        self._ignored: dict[str, None] = {}  # a set that keeps its order
        self._changed: dict[str, None] = {}

    @property
    def is_refused(self) -> bool:
        """Whether anything was refused so far."""
        return bool(self._refused)

    def refuse(self, path: str, why: str) -> None:
        """The provider can't do this, and the client would get something else."""
        self._refused.setdefault(path, why)

    def drop(self, name: str, why: str) -> None:
        """A hint that the model refuses is left out."""
        self._dropped.setdefault(name, why)

    def ignore(self, name: str) -> None:
        """A field without effect on the answer is left out."""
        self._ignored[name] = None

    def change(self, what: str) -> None:
        """Something goes up in another form than it came; `what` is for people."""
        self._changed[what] = None

    def translation(self, body: JsonObject, *, reject_hints: bool) -> Translation:
        """The body with these notes.

        Raises:
            UnsupportedFieldsError: names all that was refused, and dropped with `reject_hints`.
        """
        refused = self._refused | self._dropped if reject_hints else self._refused
        if refused:
            raise UnsupportedFieldsError(refused)
        return Translation(
            body=body,
            dropped=tuple(self._dropped),
            ignored=tuple(self._ignored),
            changed=tuple(self._changed),
        )

"""What translating a request gives: the provider's body, and what became of fields it lacks."""

from __future__ import annotations

from dataclasses import dataclass, field

from nexus_core.dialects.tool_calls.mapping import UNCHANGED, CallMapping
from nexus_core.errors import UnsupportedFieldsError
from nexus_core.types import JsonObject


@dataclass(frozen=True, slots=True)
class Translation:
    """A request in a provider's own form, with the report that explain and headers show."""

    body: JsonObject = field(repr=False)
    dropped: tuple[str, ...] = ()  # sampling hints the model refuses; X-Nexus-Dropped-Params
    ignored: tuple[str, ...] = ()  # fields without effect on the answer that were left out
    changed: tuple[str, ...] = ()  # for people: "temperature 1.4 → 1.0"; never text of a prompt
    calls: CallMapping = field(default=UNCHANGED, repr=False)  # for the calls in the answer


class ModelFailedError(ValueError):
    """What the model gave is no answer, and its provider says so: another model may do better."""

    def __init__(self, message: str, kind: str) -> None:
        """`kind` is the provider's own word for it: MALFORMED_FUNCTION_CALL, …"""
        super().__init__(message)
        self.kind = kind


class StreamFailedError(Exception):
    """The provider said in mid-stream that it failed; the status line was long sent."""

    def __init__(
        self, message: str, kind: str, status: int, wait_seconds: float | None = None
    ) -> None:
        """All are the provider's own; `status` is what it would have answered with."""
        super().__init__(message)
        self.message = message
        self.type = kind
        self.status = status
        self.wait_seconds = wait_seconds  # that it asks for before the next try


@dataclass(slots=True)
class Findings:
    """Collects what becomes of a request's fields while it is translated."""

    unsupported: dict[str, str] = field(default_factory=dict)  # path to why
    dropped: dict[str, str] = field(default_factory=dict)  # hint to why
    ignored: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def ignore(self, name: str) -> None:
        """Note a field without effect; once, however often it stands there."""
        if name not in self.ignored:
            self.ignored.append(name)

    def report(
        self, body: JsonObject, *, reject_hints: bool = False, calls: CallMapping = UNCHANGED
    ) -> Translation:
        """The translation, unless something can't be done.

        Raises:
            UnsupportedFieldsError: names all of it; with `reject_hints` the dropped hints too.
        """
        refused = {**self.unsupported, **self.dropped} if reject_hints else self.unsupported
        if refused:
            raise UnsupportedFieldsError(refused)
        return Translation(
            body, tuple(self.dropped), tuple(self.ignored), tuple(self.changed), calls
        )

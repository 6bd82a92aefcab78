"""Translation report: the provider's body, with dropped, changed and unsupported fields."""

from __future__ import annotations

from dataclasses import dataclass, field

from nexus_core.dialects.tool_calls.mapping import UNCHANGED, CallMapping
from nexus_core.errors import UnsupportedFieldsError
from nexus_core.types import JsonObject


@dataclass(frozen=True, slots=True)
class Translation:
    """A request in a provider's format, with the report shown by explain and response headers."""

    body: JsonObject = field(repr=False)
    dropped: tuple[str, ...] = ()  # sampling hints the model refuses; X-Nexus-Dropped-Params
    ignored: tuple[str, ...] = ()  # fields without effect on the answer that were left out
    changed: tuple[str, ...] = ()  # for people: "temperature 1.4 → 1.0"; never text of a prompt
    calls: CallMapping = field(default=UNCHANGED, repr=False)  # for the calls in the answer


class ModelFailedError(ValueError):
    """The provider reports that the model's output is not an answer; another model may succeed."""

    def __init__(self, message: str, kind: str) -> None:
        """`kind` is the provider's own error type: MALFORMED_FUNCTION_CALL, …"""
        super().__init__(message)
        self.kind = kind


class StreamFailedError(Exception):
    """The provider reported an error in mid-stream, after the status line."""

    def __init__(
        self, message: str, kind: str, status: int, wait_seconds: float | None = None
    ) -> None:
        """All are the provider's own; `status` is the one it would have answered with."""
        super().__init__(message)
        self.message = message
        self.type = kind
        self.status = status
        self.wait_seconds = wait_seconds  # that it asks for before the next try


@dataclass(slots=True)
class Findings:
    """Collector of a translation's findings: fields dropped, changed, ignored or unsupported."""

    unsupported: dict[str, str] = field(default_factory=dict)  # path to why
    dropped: dict[str, str] = field(default_factory=dict)  # hint to why
    ignored: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def ignore(self, name: str) -> None:
        """Note a field without effect, once per field."""
        if name not in self.ignored:
            self.ignored.append(name)

    def report(
        self, body: JsonObject, *, reject_hints: bool = False, calls: CallMapping = UNCHANGED
    ) -> Translation:
        """The translation with its findings.

        Raises:
            UnsupportedFieldsError: names every unsupported field; with `reject_hints` the dropped
                hints too.
        """
        refused = {**self.unsupported, **self.dropped} if reject_hints else self.unsupported
        if refused:
            raise UnsupportedFieldsError(refused)
        return Translation(
            body, tuple(self.dropped), tuple(self.ignored), tuple(self.changed), calls
        )

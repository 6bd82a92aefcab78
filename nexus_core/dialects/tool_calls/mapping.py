"""Map the tool calls of an answer back to the client's tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nexus_core.dialects.tool_calls.arguments import Arguments, ArgumentStream


@dataclass(frozen=True, slots=True)
class CallMapping:
    """How the calls in an answer become calls of the client's tools."""

    # By the provider's name of a tool: the client's, and what becomes of the arguments.
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    arguments: Mapping[str, Arguments] = field(default_factory=dict[str, Arguments])

    def name(self, sent: str) -> str:
        """The client's name of a tool."""
        return self.names.get(sent, sent)

    def stream(self, sent: str) -> ArgumentStream | None:
        """A reader of a call's arguments in pieces; None where they pass as they are."""
        mapping = self.arguments.get(sent)
        return None if mapping is None else mapping.stream()

    def value(self, sent: str, arguments: object) -> object:
        """The client's arguments, of a call to what the provider calls `sent`."""
        mapping = self.arguments.get(sent)
        return arguments if mapping is None else mapping.to_client(arguments)


UNCHANGED = CallMapping()

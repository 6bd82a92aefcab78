"""Map the tool calls of an answer back to the client's tools."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nexus_core.dialects.tool_calls.arguments import Arguments, ArgumentStream


class CallMapping(msgspec.Struct, frozen=True):
    """Mapping of an answer's tool calls to the client's tools: names and arguments."""

    # By the provider's name of a tool: the client's, and what becomes of the arguments.
    names: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    arguments: Mapping[str, Arguments] = msgspec.field(default_factory=dict[str, Arguments])

    def name(self, sent: str) -> str:
        """The client's name of a tool."""
        return self.names.get(sent, sent)

    def stream(self, sent: str) -> ArgumentStream | None:
        """Create a translator of a call's streamed arguments; None if they pass unchanged."""
        mapping = self.arguments.get(sent)
        return None if mapping is None else mapping.stream()

    def value(self, sent: str, arguments: object) -> object:
        """Translate the arguments of a call; `sent` is the provider's name of the tool."""
        mapping = self.arguments.get(sent)
        return arguments if mapping is None else mapping.to_client(arguments)


UNCHANGED = CallMapping()

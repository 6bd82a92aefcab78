"""Ids of tool calls, each one's own in the whole conversation.

Some servers give none, or begin anew with every answer (`call_0`). Claude Code drops a second call
by an id that it has seen, and then asks the same again without end.
"""

from __future__ import annotations

from nexus_core.dialects.request import Request
from nexus_core.types import JsonObject, is_list, is_object


class CallIds:
    """The ids in the answer to one request."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._taken: set[object] = set()
        self._is_read = False
        self._count = 0

    def own(self, given: object) -> str:
        """The id that a call has for the client: the server's, unless it has none or is taken."""
        if not self._is_read:
            self._is_read = True
            self._taken = _used(self._request.parsed)
        self._count += 1
        made = f"{self._request.id or 'unknown'}_{self._count}"
        if not isinstance(given, str) or not given:
            found = f"toolu_{made}"
        else:
            found = f"{given}_{made}" if given in self._taken else given
        self._taken.add(found)
        return found


def _used(fields: JsonObject) -> set[object]:
    messages = fields.get("messages")
    used: set[object] = set()
    for message in messages if is_list(messages) else ():
        content = message.get("content") if is_object(message) else None
        for block in content if is_list(content) else ():
            if is_object(block) and isinstance(call_id := block.get("id"), str):
                used.add(call_id)
    return used

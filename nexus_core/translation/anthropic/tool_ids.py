"""Carry tool call ids of other providers through Anthropic's, and back."""

from __future__ import annotations

import base64
import binascii
import re
from collections import defaultdict, deque

# What Anthropic takes as an id; "functions.f:0" and the like it refuses.
_TAKEN = re.compile(r"[a-zA-Z0-9_-]+")
_OURS = re.compile(r"nx(\d*)-")


def to_anthropic_id(call_id: str, use: int = 1) -> str:
    """The id that Anthropic gets for a client's; different for every id and every `use` of it.

    `use` counts the calls of one conversation that bear the id: some servers number the calls of
    each turn anew, and Anthropic wants them unique. Ids that need no change stay what they are.
    """
    if use == 1 and _TAKEN.fullmatch(call_id) and not _OURS.match(call_id):
        return call_id
    encoded = base64.urlsafe_b64encode(call_id.encode("utf-8", "surrogatepass")).decode()
    return f"nx{use if use > 1 else ''}-{encoded.rstrip('=')}"


def from_anthropic_id(call_id: str) -> str:
    """The client's id again."""
    match = _OURS.match(call_id)
    if match is None:
        return call_id
    encoded = call_id[match.end() :]
    try:
        decoded = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        return decoded.decode("utf-8", "surrogatepass")
    except (binascii.Error, UnicodeDecodeError):
        return call_id  # never made by us


class ToolIds:
    """The ids of one conversation, in the order of its messages."""

    def __init__(self) -> None:
        self._uses: defaultdict[str, int] = defaultdict(int)
        self._open: defaultdict[str, deque[str]] = defaultdict(deque)  # calls without a result

    def of_call(self, call_id: str) -> str:
        """The id of a call that the conversation has come to."""
        self._uses[call_id] += 1
        mapped = to_anthropic_id(call_id, self._uses[call_id])
        self._open[call_id].append(mapped)
        return mapped

    def of_result(self, call_id: str) -> str:
        """The id of the call that this result answers: the oldest unanswered one that bears it."""
        if self._open[call_id]:
            return self._open[call_id].popleft()
        return to_anthropic_id(call_id, max(self._uses[call_id], 1))

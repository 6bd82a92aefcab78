"""Conversation affinity: prefer the backend that may have the prompt prefix cached."""

from __future__ import annotations

from collections import OrderedDict

CAPACITY = 20_000  # conversations remembered; the longest unused is forgotten first


class Affinity:
    """Conversation affinity: a bounded map from prompt prefixes to backends."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._backends: OrderedDict[int, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._backends)

    def remember(self, prefixes: tuple[int, ...], backend: str) -> None:
        """The backend answered a conversation with these beginnings.

        The whole of it is what its next turn begins with; the first message, mostly a system
        prompt, is what other conversations begin with.
        """
        for prefix in {*prefixes[:1], *prefixes[-1:]}:
            self._backends[prefix] = backend
            self._backends.move_to_end(prefix)
        while len(self._backends) > self._capacity:
            self._backends.popitem(last=False)

    def recall(self, prefixes: tuple[int, ...]) -> str | None:
        """Who served the longest of these beginnings last; changes nothing."""
        for prefix in reversed(prefixes):
            backend = self._backends.get(prefix)
            if backend is not None:
                return backend
        return None

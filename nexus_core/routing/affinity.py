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
        if not prefixes:
            return
        backends = self._backends
        for prefix in (prefixes[0], prefixes[-1]) if len(prefixes) > 1 else prefixes:
            backends[prefix] = backend
            backends.move_to_end(prefix)
        while len(backends) > self._capacity:
            backends.popitem(last=False)

    def recall(self, prefixes: tuple[int, ...]) -> str | None:
        """Who served the longest of these beginnings last; changes nothing."""
        for prefix in reversed(prefixes):
            backend = self._backends.get(prefix)
            if backend is not None:
                return backend
        return None

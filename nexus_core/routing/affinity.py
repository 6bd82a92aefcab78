"""Conversation affinity: prefer the backend that may have the prompt prefix cached."""

from __future__ import annotations

from collections import OrderedDict

CAPACITY = 20_000  # conversations remembered; the longest unused is forgotten first


class Affinity:
    """Conversation affinity: a bounded map from prompt prefixes and sessions to backends."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._backends: OrderedDict[int, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._backends)

    def remember(self, prefixes: tuple[int, ...], backend: str, session: int | None = None) -> None:
        """The backend answered a conversation with these beginnings.

        The whole of it is what its next turn begins with; the first message, mostly a system
        prompt, is what other conversations begin with.
        """
        backends = self._backends
        if session is not None:
            backends[session] = backend
            backends.move_to_end(session)
        for prefix in (prefixes[0], prefixes[-1]) if len(prefixes) > 1 else prefixes:
            backends[prefix] = backend
            backends.move_to_end(prefix)
        while len(backends) > self._capacity:
            backends.popitem(last=False)

    def recall(self, prefixes: tuple[int, ...], session: int | None = None) -> str | None:
        """Who served the longest of these beginnings last, else the session; changes nothing.

        The session counts before the first message: agents change a word of that one with each
        request, or send the very same one in all of their sessions.
        """
        known = self._backends.get
        for prefix in reversed(prefixes if session is None else prefixes[1:]):
            backend = known(prefix)
            if backend is not None:
                return backend
        if session is None:
            return None
        return known(session) or (known(prefixes[0]) if prefixes else None)

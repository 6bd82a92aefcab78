"""Who is woken when a request may find a backend that it did not find before."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager

Listener = Callable[[str | None], None]  # gets the backend with a freed slot; None: another change


class Wakes:
    """Those that the registry wakes. Each listens only while it has something to do.

    A slot is freed by every request, and usually nobody waits for one.
    """

    def __init__(self) -> None:
        self.listeners: list[Listener] = []
        self._followers: list[Callable[[], None]] = []
        self._is_changing = False

    def on(self, listener: Listener, *, is_first: bool = False) -> None:
        """Call `listener` from now on.

        Args:
            is_first: before all others.
        """
        self.listeners.insert(0 if is_first else len(self.listeners), listener)

    def off(self, listener: Listener) -> None:
        """Call it no more."""
        self.listeners.remove(listener)

    def on_version(self, follower: Callable[[], None]) -> None:
        """Call `follower` whenever the registry may be of another version, before any listener."""
        self._followers.append(follower)

    def tell(self, freed: str | None) -> None:
        """A slot of the backend is free; None: something else has changed."""
        if self._is_changing:
            return
        if freed is None:
            for follow in self._followers:
                follow()
        for listener in tuple(self.listeners):
            listener(freed)

    @contextmanager
    def together(self) -> Generator[None]:
        """Several changes as one: whoever waits for a backend sees none before the last."""
        self._is_changing = True
        try:
            yield
        finally:
            self._is_changing = False
            self.tell(None)

"""The table of created keys: which key a secret opens, and its meter."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nexus_core.keys.bounds import Bounds
from nexus_core.keys.held import HeldKey
from nexus_core.keys.key import PREFIX, StoredKey, id_in
from nexus_core.keys.meter import KeyMeter


class KeyTable:
    """Created keys by id. For one thread; what is used of a key's limits outlives its changes."""

    def __init__(
        self, now: Callable[[], float], clock: Callable[[], int], *, is_optional: bool = False
    ) -> None:
        """
        Args:
            now: seconds since the epoch.
            clock: monotonic nanoseconds.
            is_optional: who has no key comes in all the same.
        """
        self.is_optional = is_optional
        self._now = now
        self._clock = clock
        self._by_id: dict[bytes, HeldKey] = {}
        self._bounds = Bounds()
        self._was_used = False  # there is a key, or was one
        self.is_unused = False  # as far as is known, also while the store can't be read
        self.problem: str | None = None  # why the latest state of the store is not known
        self.is_withdrawn = False  # for too long: no created key opens anything

    @property
    def is_open(self) -> bool:
        """Nobody needs a key: none was ever made, as far as can be told."""
        return not self._was_used and (self.problem is None or self.is_unused)

    def replace(self, stored: Iterable[StoredKey]) -> None:
        """Go by these keys from now on."""
        before, after = self._by_id, dict[bytes, HeldKey]()
        for key in stored:
            key_id = key.id.encode()
            held = before.get(key_id)
            if held is None or held.stored != key:
                meter = KeyMeter() if held is None else held.meter
                self._bounds.put_on(meter, key.name, key.limits)
                held = HeldKey(key, meter, self._clock)
            after[key_id] = held
        self._by_id, self.problem, self.is_withdrawn = after, None, False
        self._was_used = self._was_used or bool(after)

    def limit(self, bounds: Bounds) -> None:
        """Go by these limits as well: of each the strictest holds."""
        self._bounds = bounds
        for held in self._by_id.values():
            self._bounds.put_on(held.meter, held.name, held.stored.limits)

    def fail(self, problem: str) -> None:
        """The store can't be read: what was known holds, and who comes without a key is refused.

        Unless no key was made, as far as is known.
        """
        self.problem = problem

    def withdraw(self, problem: str) -> None:
        """Nobody can tell any more which keys hold: none does, until the store can be read."""
        self.fail(problem)
        self.is_withdrawn = True

    def find(self, presented: bytes) -> HeldKey | None:
        """The key that a secret opens now; None of an unknown, expired or revoked one."""
        if not presented.startswith(PREFIX) or self.is_withdrawn:
            return None
        held = self._by_id.get(id_in(presented))
        if held is None or not held.stored.is_opened_by(presented, self._now()):
            return None
        return held

    def named(self, name: str) -> HeldKey | None:
        """The key of this name."""
        return next((held for held in self._by_id.values() if held.name == name), None)

    @property
    def keys(self) -> tuple[HeldKey, ...]:
        """All of them, the oldest first."""
        return tuple(self._by_id.values())

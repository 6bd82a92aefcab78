"""Rests that a backend asked for: of the account, so they hold for every process."""

from __future__ import annotations

import json
from collections.abc import Callable

from nexus_core.state.base import Link
from nexus_core.types import JsonObject, is_list

_SAME_SECONDS = 0.5  # a rest is told again with each beat
_LONGEST_MS = 3_600_000  # as one process takes it: whatever a clock's step makes of it


class Rests:
    """The rests of this process, told to others, and those of others, obeyed here."""

    name = "rests"

    def __init__(
        self,
        link: Link,
        rest: Callable[[str, str | None, float, str], None],
        clock: Callable[[], float],
    ) -> None:
        """
        Args:
            rest: keeps requests from a model of a backend, or with None from all of it, for so
                many seconds; the text says why.
            clock: monotonic seconds.
        """
        self._link = link
        self._rest = rest
        self._clock = clock
        # Since when, until, why.
        self._own: dict[tuple[str, str | None], tuple[float, float, str]] = {}
        self._obeyed: dict[tuple[str, str | None], float] = {}  # until

    def asked(self, backend: str, model: str | None, seconds: float, why: str) -> None:
        """A backend asked this process for a rest."""
        now = self._clock()
        self._own[backend, model] = (now, now + seconds, why)
        self._link.hurry()

    def forget(self, backend: str) -> None:
        """An operator ended the cooldowns of a backend: what was asked for is told no more."""
        for rests in (self._own, self._obeyed):
            for key in [key for key in rests if key[0] == backend]:
                del rests[key]

    def report(self) -> JsonObject:
        now = self._clock()
        self._own = {key: one for key, one in self._own.items() if one[1] > now}
        return {
            "rests": [
                (json.dumps(key), round((until - now) * 1000), why, round((now - since) * 1000))
                for key, (since, until, why) in self._own.items()
            ]
        }

    def accept(self, answer: JsonObject, sent: float) -> None:
        now = self._clock()
        rests = answer.get("rests")
        for text, left_ms, why, replica in rests if is_list(rests) else ():
            backend, model = json.loads(text)
            seconds = min(left_ms, _LONGEST_MS) / 1000
            if now + seconds > self._obeyed.get((backend, model), 0.0) + _SAME_SECONDS:
                self._obeyed[backend, model] = now + seconds
                self._rest(backend, model, seconds, f"{why} (asked of {replica})")

    def cut_off(self, since: float) -> None:
        pass

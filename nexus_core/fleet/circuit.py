"""Circuit breakers of backends and their models: open after failures, then half-open.

Pure: no clock, no network. All times are those of one monotonic clock, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from types import MappingProxyType

import msgspec

FAILURES_TO_OPEN = 3  # in a row; a connection that fails opens at once
# In a row, of requests that another backend failed on as well before a third one answered.
SHARED_FAILURES_TO_OPEN = 10
FIRST_REST_SECONDS = 5.0  # doubles with each failed trial
LONGEST_REST_SECONDS = 300.0
DEFAULT_BUSY_REST_SECONDS = 1.0  # after a 429 without Retry-After
LONGEST_BUSY_REST_SECONDS = 3600.0
NO_CREDIT_SECONDS = 60.0
MAX_CIRCUITS = 256  # of single models at one backend: it may list any number
_REMEMBERED_CONTENTS = 8


class Cooldown(msgspec.Struct, frozen=True, kw_only=True):
    """A cooldown of a backend or of one of its models: its reason and its end."""

    until: float  # monotonic seconds: no request before then
    why: str  # for people
    # It kept failing: once the time is over it is half-open, with one request at a time.
    is_circuit_open: bool = False
    is_tried: bool = False  # the one request that a half-open circuit may have is under way

    def seconds(self, at: float) -> float:
        """How long it still lasts; 0 when its time is over."""
        return max(0.0, self.until - at)

    def keeps_away(self, at: float) -> bool:
        """Whether a request must not go there now."""
        return at < self.until or self.is_tried

    def note(self, at: float) -> str:
        """One line for people."""
        if at < self.until:
            return f"{ceil(self.until - at)} s left: {self.why}"
        return f"half-open, one request at a time: {self.why}"


NO_COOLDOWNS: Mapping[str, Cooldown] = MappingProxyType({})


@dataclass(slots=True)
class Circuit:
    """Circuit breaker of a backend, or of one of its models."""

    failures: int = 0  # in a row; only an answer that came whole ends the row
    shared_failures: int = 0  # the same, of requests that failed elsewhere as well
    is_open: bool = False  # failing: left alone, then half-open with one request at a time
    trials: int = 0  # requests under way that were sent while it was half-open
    until: float | None = None  # no request before then
    why: str = ""  # for people
    _rest_seconds: float = 0.0  # the last one; 0 after an answer that came whole
    _asked_until: float | None = None  # the end of a cooldown that the backend asked for
    _asked_why: str = ""
    _contents: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_CONTENTS))

    def fail(
        self,
        at: float,
        why: str,
        *,
        is_unreachable: bool = False,
        content: int | None = None,
        is_shared: bool = False,
        is_hinted: bool = False,
    ) -> None:
        """A request failed. No connection opens the circuit at once, else it takes several.

        Args:
            content: a digest of the request, where the same one counts once however often it is
                repeated; None: every failure counts.
            is_shared: it failed at another backend as well, and a third one answered it.
            is_hinted: another process has this circuit open, so one failure here says enough.
        """
        if content is not None:
            if content in self._contents:
                return
            self._contents.append(content)
        if is_shared:
            self.shared_failures += 1
        else:
            self.failures += 1
        is_row = (
            self.failures >= (1 if is_hinted else FAILURES_TO_OPEN)
            or self.shared_failures >= SHARED_FAILURES_TO_OPEN
        )
        if not (is_unreachable or self.is_open or is_row):
            return
        if self.until is not None and at < self.until:
            return  # it was sent before the cooldown began and says nothing new
        rest = self._rest_seconds * 2 or FIRST_REST_SECONDS
        self._rest_seconds = min(rest, LONGEST_REST_SECONDS)
        if not self.is_open:
            self.trials = 0
        self.is_open = True
        self.until, self.why = at + self._rest_seconds, why

    def begin(self) -> None:
        """An answer begins: requests may come again, and the next failure tells more than this."""
        if self.is_open:
            self.is_open = False
            self.until, self.why = self._asked_until, self._asked_why

    def succeed(self) -> None:
        """An answer came whole: all is forgotten but a cooldown that the backend asked for."""
        self.begin()
        self.failures = self.shared_failures = 0
        self._rest_seconds = 0.0
        self._contents.clear()

    def rest(self, at: float, seconds: float | None, why: str) -> None:
        """The backend said it has too much to do, and perhaps for how long."""
        wanted = DEFAULT_BUSY_REST_SECONDS if seconds is None else seconds
        until = at + min(max(wanted, 0.0), LONGEST_BUSY_REST_SECONDS)
        if self._asked_until is None or until > self._asked_until:
            self._asked_until, self._asked_why = until, why
        if self.until is None or until > self.until:
            self.until, self.why = until, why

    def is_blank(self, at: float) -> bool:
        """Whether it knows nothing that a new one would not."""
        is_over = self.until is None or self.until <= at
        return is_over and not (self.is_open or self.failures or self.shared_failures)

    def cooldown(self, at: float) -> Cooldown | None:
        """What routing has to know of it; None: nothing."""
        if self.until is None or not (self.is_open or at < self.until):
            return None
        return Cooldown(
            until=self.until,
            why=self.why,
            is_circuit_open=self.is_open,
            is_tried=self.is_open and self.trials > 0,
        )


@dataclass(slots=True)
class Circuits:
    """Circuit breakers of one backend: one for the whole backend, one per failed model.

    Models go by the backend's own names. What a model does changes nothing for another one.
    """

    whole: Circuit | None = None
    by_model: dict[str, Circuit] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return self.whole is None and not self.by_model

    def of(self, model: str | None) -> Circuit:
        """The circuit of a model, None for that of the whole backend; made where there is none."""
        if model is None:
            if self.whole is None:
                self.whole = Circuit()
            return self.whole
        circuit = self.by_model.get(model)
        if circuit is None:
            if len(self.by_model) >= MAX_CIRCUITS:
                del self.by_model[next(iter(self.by_model))]
            circuit = self.by_model[model] = Circuit()
        return circuit

    def concerning(self, model: str) -> Iterator[Circuit]:
        """The circuits that a request for the model passes."""
        if self.whole is not None:
            yield self.whole
        if (circuit := self.by_model.get(model)) is not None:
            yield circuit

    def begin_half_open_request(self, model: str) -> None:
        """A request for the model is sent through circuits that are half-open."""
        for circuit in self.concerning(model):
            circuit.trials += circuit.is_open

    def end_half_open_request(self, model: str) -> None:
        """It is over, however it ended."""
        for circuit in self.concerning(model):
            circuit.trials = max(0, circuit.trials - 1)

    def forget(self, at: float, served: Mapping[str, str] | None = None) -> None:
        """Drop what says nothing, and models that are not `served` any more, if that is known."""
        if self.whole is not None and self.whole.is_blank(at):
            self.whole = None
        kept = None if served is None else set(served.values())
        for model in [
            model
            for model, circuit in self.by_model.items()
            if circuit.is_blank(at) or (kept is not None and model not in kept)
        ]:
            del self.by_model[model]

    def cooldowns(self, at: float) -> tuple[Cooldown | None, Mapping[str, Cooldown]]:
        """Of the whole backend, and of single models."""
        whole = None if self.whole is None else self.whole.cooldown(at)
        found = {
            model: cooldown
            for model, circuit in self.by_model.items()
            if (cooldown := circuit.cooldown(at)) is not None
        }
        return whole, MappingProxyType(found) if found else NO_COOLDOWNS

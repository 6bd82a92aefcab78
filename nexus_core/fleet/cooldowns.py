"""Cooldowns of backends and their models; every change is published."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping

from nexus_core.fleet.bad_news import BadNews
from nexus_core.fleet.circuit import NO_COOLDOWNS, Circuit, Circuits, Cooldown
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import CooldownBegan, CooldownEnded
from nexus_core.types import CooldownEnd

log = logging.getLogger(__name__)

_Shown = tuple[Cooldown | None, Mapping[str, Cooldown]]
_NOTHING: _Shown = (None, NO_COOLDOWNS)


class Cooldowns:
    """Cooldowns of all backends; models go by their upstream names.

    A cooldown keeps requests away from what failed and from nothing else: from one model of a
    backend, or from the whole backend where it can't be reached or speaks of the account.
    """

    def __init__(
        self,
        bus: EventBus,
        now: Callable[[], float],
        clock: Callable[[], float],
        *,
        knows: Callable[[str], bool],
        show: Callable[[str, Cooldown | None, Mapping[str, Cooldown]], None],
        wake: Callable[[], None],
    ) -> None:
        """
        Args:
            now: seconds since the epoch.
            clock: monotonic seconds.
            knows: whether there is a backend of that name; what happens to others is dropped.
            show: puts them into the backend's snapshot.
            wake: tells whoever waits that requests may go where they could not.
        """
        self._bus = bus
        self._now = now
        self._clock = clock
        self._knows = knows
        self._show = show
        self._wake = wake
        # Only of backends of which there is something. Read it freely; change it only from here.
        self.circuits: dict[str, Circuits] = {}
        self._shown: dict[str, _Shown] = {}
        self._bad_news = BadNews(clock)
        # Told of each cooldown that a backend asked for: its model, or None, seconds, and why.
        self.on_rest: Callable[[str, str | None, float, str], None] | None = None
        # Circuits that other processes of the fleet have open: backend, and model or None.
        self.hinted: Collection[tuple[str, str | None]] = ()

    # --- what requests show --------------------------------------------------------------

    def unreachable(self, name: str, why: str) -> None:
        """There was no connection: the whole backend has a cooldown at once."""
        if self._knows(name):
            self._of(name).of(None).fail(self._clock(), why, is_unreachable=True)
            self._update(name)

    def fail(
        self,
        name: str,
        model: str,
        why: str,
        *,
        content: int | None = None,
        is_shared: bool = False,
    ) -> None:
        """A request failed at one model of a backend; enough of them give that one a cooldown.

        Args:
            content, is_shared: as for `Circuit.fail`.
        """
        if self._knows(name):
            self._of(name).of(model).fail(
                self._clock(),
                why,
                content=content,
                is_shared=is_shared,
                is_hinted=(name, model) in self.hinted,
            )
            self._update(name)

    def rest(
        self,
        name: str,
        model: str | None,
        seconds: float | None,
        why: str,
        *,
        is_asked_here: bool = True,
    ) -> None:
        """The backend asks for a cooldown of a model, or with None of all of it.

        Args:
            seconds: how long, if it says so.
            why: for people.
            is_asked_here: whether it asked this process, and not another one of the fleet.
        """
        if self._knows(name):
            self._of(name).of(model).rest(self._clock(), seconds, why)
            self._update(name)
            if is_asked_here and seconds and self.on_rest is not None:
                self.on_rest(name, model, seconds, why)

    def begin(self, name: str, model: str) -> None:
        """An answer begins: open circuits on its way close."""
        self._each(name, model, Circuit.begin)

    def succeed(self, name: str, model: str) -> None:
        """An answer came whole: all is forgotten but what the backend asked for."""
        self._each(name, model, Circuit.succeed)

    def begin_half_open_request(self, name: str, model: str) -> None:
        """A request is sent through a half-open circuit."""
        if name in self.circuits:
            self.circuits[name].begin_half_open_request(model)
            self._update(name)

    def end_half_open_request(self, name: str, model: str) -> None:
        """It is over, however it ended."""
        if name in self.circuits:
            self.circuits[name].end_half_open_request(model)
            self._update(name)

    def open_circuits(self) -> Iterator[tuple[str, str | None]]:
        """Backends whose circuit is open, with the model, or None where all of it is meant."""
        for name, (whole, models) in self._shown.items():
            if whole is not None and whole.is_circuit_open:
                yield name, None
            for model, cooldown in models.items():
                if cooldown.is_circuit_open:
                    yield name, model

    # --- what probes and operators say ---------------------------------------------------

    def reached(self, name: str, served: Mapping[str, str], *, came_back: bool = False) -> None:
        """A probe succeeded: the circuit of the whole backend closes; what it asked for stays.

        Args:
            served: served names -> its own; others are forgotten.
            came_back: the probe before failed; what its models did then says nothing any more.
        """
        if (circuits := self.circuits.get(name)) is not None:
            if circuits.whole is not None:
                circuits.whole.begin()
            for circuit in circuits.by_model.values() if came_back else ():
                circuit.begin()
            circuits.forget(self._clock(), served)
            self._update(name, CooldownEnd.PROBED)

    def clear(self, name: str, cause: CooldownEnd) -> int:
        """Forget everything of a backend; how many cooldowns that ended."""
        if name not in self.circuits:
            return 0
        whole, models = self.circuits.pop(name).cooldowns(self._clock())
        self._update(name, cause)
        return (whole is not None) + len(models)

    def clear_all(self, cause: CooldownEnd) -> int:
        """The same for every backend."""
        return sum(self.clear(name, cause) for name in list(self.circuits))

    def forget(self, name: str) -> None:
        """The backend is gone."""
        self.circuits.pop(name, None)
        self._shown.pop(name, None)

    # --- the rest ------------------------------------------------------------------------

    def _of(self, name: str) -> Circuits:
        return self.circuits.setdefault(name, Circuits())

    def _each(self, name: str, model: str, change: Callable[[Circuit], None]) -> None:
        if name in self.circuits:
            for circuit in self.circuits[name].concerning(model):
                change(circuit)
            self._update(name)

    def _update(self, name: str, cause: CooldownEnd = CooldownEnd.ANSWERED) -> None:
        """Show what has changed, and publish it.

        Args:
            cause: of cooldowns that end before their time.
        """
        at, shown = self._clock(), _NOTHING
        if (circuits := self.circuits.get(name)) is not None:
            circuits.forget(at)
            shown = circuits.cooldowns(at)
            if circuits.is_empty:
                del self.circuits[name]
        before = self._shown.get(name, _NOTHING)
        if shown == before:
            return
        if shown == _NOTHING:
            del self._shown[name]
        else:
            self._shown[name] = shown
        if self._knows(name):
            self._show(name, *shown)
        has_ended = False
        for event in _news(name, before, shown, at, self._now(), cause):
            self._bus.publish(event)
            self._log(event, before)
            has_ended |= isinstance(event, CooldownEnded)
        if has_ended:
            self._wake()

    def _log(self, event: CooldownBegan | CooldownEnded, before: _Shown) -> None:
        """Log it: a warning where something goes bad, not each time that it still is."""
        of = (event.backend, event.model or "-")
        if isinstance(event, CooldownEnded):
            log.info("cooldown ended backend=%s model=%s cause=%s", *of, event.cause)
            return
        old = _of_model(before, event.model)
        goes_bad = event.is_circuit_open and (old is None or not old.is_circuit_open)
        level = self._bad_news.level(of) if goes_bad else logging.INFO
        text = "cooldown backend=%s model=%s seconds=%.1f why=%s"
        log.log(level, text, *of, event.seconds, event.why)


def _of_model(shown: _Shown, model: str | None) -> Cooldown | None:
    """The cooldown of a model; with None that of the whole backend."""
    return shown[0] if model is None else shown[1].get(model)


def _news(
    name: str, before: _Shown, after: _Shown, at: float, wall: float, cause: CooldownEnd
) -> Iterator[CooldownBegan | CooldownEnded]:
    models: tuple[str | None, ...] = (None, *dict.fromkeys([*before[1], *after[1]]))
    for model in models:
        old, new = _of_model(before, model), _of_model(after, model)
        if new is not None and at < new.until and (old is None or old.until != new.until):
            yield CooldownBegan(
                at=wall,
                backend=name,
                model=model,
                seconds=new.seconds(at),
                why=new.why,
                is_circuit_open=new.is_circuit_open,
            )
        elif old is not None and new is None and (old.is_circuit_open or at < old.until):
            yield CooldownEnded(at=wall, backend=name, model=model, cause=cause)

"""Cooldowns of a registry's backends: what is shown, what is published, what ends them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from nexus_core.fleet.circuit import FAILURES_TO_OPEN
from nexus_core.fleet.registry import Registry
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import CooldownBegan, CooldownEnded, NexusEvent
from nexus_core.types import CooldownEnd, HealthCause, PrivacyZone, ProbeResult

WELL = ProbeResult(elapsed_ms=1, models=("m", "n"))
DOWN = ProbeResult(elapsed_ms=1, cause=HealthCause.UNREACHABLE, detail="refused")


class World:
    def __init__(self, **changes: Any) -> None:
        self.seconds = 100.0
        self.bus = EventBus()
        self.watched = self.bus.subscribe()
        self.woken = 0
        values: dict[str, Any] = {"models": {"m": "m", "n": "n"}, **changes}
        config = BackendConfig(
            name="a",
            url="http://127.0.0.1:1",
            type=BackendType.VLLM,
            zone=PrivacyZone.RESTRICTED,
            **values,
        )
        self.registry = Registry([config], self.bus, lambda: 7.0, lambda: self.seconds)
        self.registry.wakes.on(self._wake)
        self.cooldowns = self.registry.cooldowns

    def _wake(self, freed: str | None) -> None:
        self.woken += freed is None

    def fail(self, model: str, times: int = FAILURES_TO_OPEN) -> None:
        for _ in range(times):
            self.cooldowns.fail("a", model, "answered 500")

    def probe(self, result: ProbeResult) -> None:
        self.registry.record_probe("a", result, failure_threshold=3, recovery_threshold=1)

    def news(self) -> list[NexusEvent]:
        return [e for e in self.watched.drain() if isinstance(e, CooldownBegan | CooldownEnded)]

    def keeps_away(self) -> set[str]:
        """Of which models requests keep away."""
        backend = self.registry.snapshot("a")
        return {
            model
            for model in ("m", "n")
            if any(one.keeps_away(self.seconds) for one in backend.cooldowns_of(model))
        }


def began(model: str | None, seconds: float, why: str, *, is_open: bool = False) -> CooldownBegan:
    return CooldownBegan(
        at=7.0, backend="a", model=model, seconds=seconds, why=why, is_circuit_open=is_open
    )


def ended(model: str | None, cause: CooldownEnd) -> CooldownEnded:
    return CooldownEnded(at=7.0, backend="a", model=model, cause=cause)


def test_a_model_that_fails_keeps_requests_from_itself_only() -> None:
    world = World()

    world.fail("m")

    assert world.keeps_away() == {"m"}
    assert world.news() == [began("m", 5, "answered 500", is_open=True)]


def test_a_backend_that_can_not_be_reached_keeps_requests_from_all_models() -> None:
    world = World()

    world.cooldowns.unreachable("a", "refused")

    assert world.keeps_away() == {"m", "n"}
    assert world.news() == [began(None, 5, "refused", is_open=True)]


@pytest.mark.parametrize(("model", "away"), [("m", {"m"}), (None, {"m", "n"})])
def test_a_wait_is_for_what_asked_for_it(model: str | None, away: set[str]) -> None:
    world = World()

    world.cooldowns.rest("a", model, 30, "answered 429")

    assert world.keeps_away() == away
    assert world.news() == [began(model, 30, "answered 429")]


def test_a_prolonged_cooldown_is_published_and_the_same_again_is_not() -> None:
    world = World()
    world.cooldowns.rest("a", "m", 30, "answered 429")
    world.cooldowns.rest("a", "m", 20, "answered 429")

    world.cooldowns.rest("a", "m", 40, "answered 429")

    assert [event.seconds for event in world.news() if isinstance(event, CooldownBegan)] == [30, 40]


def test_an_answer_ends_the_open_circuit_of_its_model_and_wakes_who_waits() -> None:
    world = World()
    world.fail("m")
    world.fail("n")
    world.news()

    world.registry.cooldowns.begin("a", "m")

    assert world.keeps_away() == {"n"}
    assert world.news() == [ended("m", CooldownEnd.ANSWERED)]
    assert world.woken


def test_an_answer_of_any_model_shows_that_the_backend_can_be_reached() -> None:
    world = World()
    world.cooldowns.unreachable("a", "refused")

    world.registry.cooldowns.begin("a", "n")

    assert world.keeps_away() == set()


def test_a_probe_ends_the_cooldowns_of_a_server_that_came_back() -> None:
    world = World()
    world.cooldowns.unreachable("a", "refused")
    world.fail("m")
    world.news()
    world.probe(DOWN)
    still = world.keeps_away()

    world.probe(WELL)

    assert still == {"m", "n"}
    assert world.keeps_away() == set()
    assert world.news() == [ended(None, CooldownEnd.PROBED), ended("m", CooldownEnd.PROBED)]


def test_a_probe_of_a_server_that_was_there_leaves_a_failing_model_alone() -> None:
    world = World()
    world.probe(WELL)
    world.fail("m")

    world.probe(WELL)

    assert world.keeps_away() == {"m"}


@pytest.mark.parametrize("why", ["answered 429, for the whole account", "no credit"])
def test_a_probe_does_not_end_what_the_account_asked_for(why: str) -> None:
    world = World()
    world.cooldowns.rest("a", None, 60, why)

    world.probe(WELL)

    assert world.keeps_away() == {"m", "n"}


def test_a_model_that_is_not_listed_any_more_is_forgotten() -> None:
    world = World(models=None)
    world.probe(WELL)
    world.fail("m")
    world.fail("n")

    world.probe(ProbeResult(elapsed_ms=1, models=("n",)))

    assert list(world.registry.snapshot("a").cooldowns) == ["n"]


def switch_off_and_on(world: World) -> None:
    world.registry.set_enabled("a", False)
    world.registry.set_enabled("a", True)


def cut_and_reopen(world: World) -> None:
    world.registry.set_zone_enabled(PrivacyZone.RESTRICTED, False)
    world.registry.set_zone_enabled(PrivacyZone.RESTRICTED, True)


def clear(world: World) -> None:
    assert world.cooldowns.clear("a", CooldownEnd.CLEARED) == 2
    assert world.cooldowns.clear("a", CooldownEnd.CLEARED) == 0


def change(world: World) -> None:
    world.registry.change(world.registry.snapshot("a"), models_are_configured=True)


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (switch_off_and_on, CooldownEnd.SWITCHED),
        (cut_and_reopen, CooldownEnd.SWITCHED),
        (clear, CooldownEnd.CLEARED),
        (change, CooldownEnd.RELOADED),
    ],
)
def test_what_an_operator_does_ends_every_cooldown(
    end: Callable[[World], None], cause: CooldownEnd
) -> None:
    world = World()
    world.cooldowns.rest("a", None, 60, "the account has no credit")
    world.fail("m")
    world.news()

    end(world)

    assert world.keeps_away() == set()
    assert world.news() == [ended(None, cause), ended("m", cause)]
    world.fail("m", FAILURES_TO_OPEN - 1)
    assert world.keeps_away() == set()  # and what led to them is forgotten as well


def test_what_happens_to_a_backend_that_is_gone_is_dropped() -> None:
    world = World()
    world.registry.acquire("a")
    world.registry.remove("a")

    world.fail("m")
    world.cooldowns.unreachable("a", "refused")
    world.registry.release("a")

    assert world.news() == []


def test_the_trial_of_one_model_leaves_another_one_alone() -> None:
    world = World()
    world.fail("m")
    world.seconds += 6

    world.registry.acquire("a", "m")
    during = world.keeps_away()
    world.registry.release("a", "m")

    assert (during, world.keeps_away()) == ({"m"}, set())


def test_a_cooldown_whose_time_is_over_leaves_nothing_behind() -> None:
    world = World()
    world.cooldowns.rest("a", "m", 30, "answered 429")
    world.seconds += 31

    world.registry.cooldowns.succeed("a", "m")

    assert not world.registry.snapshot("a").cooldowns
    assert world.news() == [began("m", 30, "answered 429")]


def test_one_failure_is_enough_where_another_replica_has_the_circuit_open() -> None:
    world = World()
    world.cooldowns.hinted = {("a", "m")}
    assert world.keeps_away() == set()  # a hint alone keeps nobody away

    world.fail("n", times=1)
    world.cooldowns.fail("a", "m", "answered 500", is_shared=True)  # it may be the request
    assert world.keeps_away() == set()
    world.fail("m", times=1)

    assert world.keeps_away() == {"m"}
    assert list(world.cooldowns.open_circuits()) == [("a", "m")]


def test_open_circuits_are_those_that_failed_and_not_what_a_backend_asked_for() -> None:
    world = World()
    world.cooldowns.rest("a", "m", 30.0, "answered 429")
    assert list(world.cooldowns.open_circuits()) == []

    world.cooldowns.unreachable("a", "refused")
    world.seconds += 60  # half-open

    assert list(world.cooldowns.open_circuits()) == [("a", None)]
    world.probe(WELL)
    assert list(world.cooldowns.open_circuits()) == []

"""Bad news of backends: a warning when one goes bad, and not again and again."""

from __future__ import annotations

import logging

import pytest

from nexus_core.config.schema import HealthCheckConfig
from nexus_core.fleet.bad_news import QUIET_SECONDS, BadNews
from tests.fleet.test_cooldowns import World
from tests.fleet.test_health import DOWN, UP, ProbedAgent, checks


def test_a_second_warning_about_the_same_comes_only_after_a_while() -> None:
    at = [100.0]
    news = BadNews(lambda: at[0])

    assert news.level("a") == logging.WARNING
    assert news.level("b") == logging.WARNING
    at[0] += QUIET_SECONDS - 1
    assert news.level("a") == logging.INFO
    at[0] += 1
    assert news.level("a") == logging.WARNING


async def test_a_backend_that_goes_bad_is_a_warning_and_one_that_is_back_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    config = HealthCheckConfig(failure_threshold=1, recovery_threshold=1)
    health, _, _ = checks(config, ProbedAgent("a", UP, DOWN, DOWN, UP, DOWN))

    for _ in range(5):
        await health.probe("a")

    told = [(line.levelname, line.getMessage()) for line in caplog.records]
    down = "health backend=a now=unhealthy detail=refused"
    up = "health backend=a now=healthy detail=-"
    # The last one comes too soon after the warning.
    assert told == [("INFO", up), ("WARNING", down), ("INFO", up), ("INFO", down)]


def test_a_model_that_keeps_failing_is_one_warning_for_as_long_as_it_does(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    world = World()

    world.fail("m")
    for _ in range(3):
        world.seconds += 1000  # it may be tried again, and fails again
        world.fail("m", times=1)
    world.cooldowns.begin("a", "m")
    world.cooldowns.succeed("a", "m")

    levels = [line.levelname for line in caplog.records]
    texts = [line.getMessage() for line in caplog.records]
    assert levels[0] == "WARNING"
    assert texts[0].startswith("cooldown backend=a model=m seconds=")
    assert texts[0].endswith(" why=answered 500")
    assert len(levels) > 2
    assert set(levels[1:]) == {"INFO"}
    assert texts[-1].startswith("cooldown ended backend=a model=m ")


def test_what_only_asks_for_a_pause_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World()

    world.cooldowns.rest("a", "m", 30.0, "answered 429")

    assert [line.levelname for line in caplog.records] == ["INFO"]

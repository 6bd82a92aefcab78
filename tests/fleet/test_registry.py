from collections.abc import Callable

import pytest
from msgspec.structs import replace

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from nexus_core.fleet.registry import Registry
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import (
    BackendChanged,
    BackendHealthChanged,
    BackendProbed,
    BackendToggled,
)
from nexus_core.types import CooldownEnd, HealthCause, HealthStatus, PrivacyZone, ProbeResult

UNLISTED = ProbeResult(elapsed_ms=1, detail="no list", never_lists=True)
NOT_NOW = ProbeResult(elapsed_ms=1, detail="not now")
OK = ProbeResult(elapsed_ms=1, models=("m1", "m2"))
DOWN = ProbeResult(elapsed_ms=1, cause=HealthCause.UNREACHABLE, detail="refused")
AUTH = ProbeResult(elapsed_ms=1, cause=HealthCause.AUTH, detail="401: check KEY")


def registry(bus: EventBus | None = None, **changes: object) -> Registry:
    values: dict[str, object] = {
        "name": "a",
        "url": "http://127.0.0.1:1",
        "type": BackendType.VLLM,
        "zone": PrivacyZone.RESTRICTED,
        **changes,
    }
    return Registry([BackendConfig.model_validate(values)], bus or EventBus(), lambda: 7.0)


def probed(reg: Registry, *results: ProbeResult, failures: int = 3, recoveries: int = 1) -> None:
    for result in results:
        reg.record_probe("a", result, failure_threshold=failures, recovery_threshold=recoveries)


@pytest.mark.parametrize(
    ("results", "recoveries", "expected"),
    [
        ([], 1, HealthStatus.UNKNOWN),
        ([OK], 1, HealthStatus.HEALTHY),
        ([OK], 3, HealthStatus.HEALTHY),
        ([DOWN, DOWN], 1, HealthStatus.UNKNOWN),
        ([DOWN, DOWN, DOWN], 1, HealthStatus.UNHEALTHY),
        ([OK, DOWN, DOWN], 1, HealthStatus.HEALTHY),
        ([DOWN, DOWN, OK, DOWN], 1, HealthStatus.HEALTHY),
        ([DOWN, DOWN, DOWN, OK], 1, HealthStatus.HEALTHY),
        ([DOWN, DOWN, DOWN, OK], 2, HealthStatus.UNHEALTHY),
        ([DOWN, DOWN, DOWN, OK, OK], 2, HealthStatus.HEALTHY),
        ([OK, AUTH], 1, HealthStatus.UNHEALTHY),
        ([AUTH], 1, HealthStatus.UNHEALTHY),
    ],
)
def test_thresholds_decide_and_a_refused_key_counts_at_once(
    results: list[ProbeResult], recoveries: int, expected: HealthStatus
) -> None:
    reg = registry()

    probed(reg, *results, recoveries=recoveries)

    assert reg.snapshot("a").health is expected


def test_a_refused_key_is_told_with_what_to_check_until_a_probe_succeeds() -> None:
    bus = EventBus()
    watched = bus.subscribe()
    reg = registry(bus)

    reg.record_refused_key("a", "401: check KEY")
    reg.record_refused_key("a", "401: check KEY")

    (event,) = watched.drain()
    assert event == BackendHealthChanged(
        at=7.0,
        backend="a",
        health=HealthStatus.UNHEALTHY,
        cause=HealthCause.AUTH,
        detail="401: check KEY",
    )
    probed(reg, OK)
    assert reg.snapshot("a").cause is HealthCause.NONE


def test_discovered_models_are_known_after_the_first_answer() -> None:
    reg = registry()
    assert not reg.snapshot("a").models_known

    probed(reg, OK)

    assert dict(reg.snapshot("a").models) == {"m1": "m1", "m2": "m2"}
    assert reg.snapshot("a").models_known


def test_configured_models_stay_whatever_the_backend_lists() -> None:
    reg = registry(models={"gpt-4": "llama"})

    probed(reg, OK)

    assert dict(reg.snapshot("a").models) == {"gpt-4": "llama"}


def test_a_slot_is_taken_until_it_is_given_back() -> None:
    reg = registry(max_concurrent=1)

    reg.acquire("a")
    taken = reg.snapshot("a")
    reg.release("a")

    assert taken.is_full
    assert reg.snapshot("a").in_flight == 0


def test_a_toggle_is_published_once_per_change() -> None:
    bus = EventBus()
    watched = bus.subscribe()
    reg = registry(bus)

    reg.set_enabled("a", False)
    reg.set_enabled("a", False)

    assert watched.drain() == [BackendToggled(at=7.0, backend="a", enabled=False)]
    assert reg.snapshots()[0].enabled is False


def test_each_probe_is_published() -> None:
    bus = EventBus()
    watched = bus.subscribe()

    probed(registry(bus), OK)

    assert BackendProbed(at=7.0, backend="a", ok=True, elapsed_ms=1, models=2) in watched.drain()


def test_a_snapshot_does_not_change_under_its_reader() -> None:
    reg = registry()
    before = reg.snapshots()

    reg.set_enabled("a", False)

    assert before[0].enabled


def test_what_requests_and_probes_change_is_in_one_snapshot() -> None:
    reg = registry()
    reg.acquire("a")
    reg.acquire("a")
    reg.record_success("a", 80.0)

    probed(reg, OK)
    reg.release("a")
    reg.set_enabled("a", False)

    now = reg.snapshot("a")
    assert (now.in_flight, now.latency_ms, now.health) == (1, 80.0, HealthStatus.HEALTHY)
    assert now.service_seconds is not None
    assert not now.enabled
    assert reg.snapshots() == (now,)


def test_a_snapshot_is_made_when_somebody_looks_and_no_other_without_a_change() -> None:
    reg = registry()
    before = reg.snapshots()

    reg.acquire("a")
    after = reg.snapshots()

    assert [backend.in_flight for backend in (*before, *after)] == [0, 1]
    assert reg.snapshots() is after
    assert reg.snapshot("a") is after[0]


def test_an_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        registry().set_enabled("b", True)


def test_a_name_that_is_no_unicode_is_no_model() -> None:
    reg = registry()

    probed(reg, ProbeResult(elapsed_ms=1, models=("m", "half \ud83d", "whole 🦊")))

    assert list(reg.snapshot("a").models) == ["m", "whole 🦊"]


def test_another_rank_is_published_once_per_change_and_wakes_who_waits() -> None:
    bus = EventBus()
    watched = bus.subscribe()
    woken: list[str | None] = []
    reg = registry(bus, tier=1, priority=50)
    reg.wakes.on(woken.append)

    reg.set_rank("a", tier=None, priority=50)
    reg.set_rank("a", tier=None, priority=50)

    assert watched.drain() == [BackendChanged(at=7.0, backend="a", tier=None, priority=50)]
    assert woken == [None]
    assert reg.snapshot("a").tier is None


def test_without_a_list_a_backend_is_healthy_and_keeps_its_models() -> None:
    reg = registry()

    probed(reg, NOT_NOW)
    assert (reg.snapshot("a").health, reg.snapshot("a").models_known) == (
        HealthStatus.HEALTHY,
        False,
    )
    probed(reg, UNLISTED)
    assert reg.snapshot("a").models_known
    assert reg.snapshot("a").detail == "no list"
    probed(reg, OK, UNLISTED)
    assert tuple(reg.snapshot("a").models) == ("m1", "m2")


def test_two_ways_to_write_a_url_are_the_same_server() -> None:
    reg = registry()
    seen = reg.snapshot("a")

    reg.change(replace(seen, url="http://127.0.0.1:1/v1/"), models_are_configured=False)
    assert reg.still_holds(seen)
    reg.change(replace(seen, url="http://127.0.0.1:1/v4"), models_are_configured=False)
    assert not reg.still_holds(seen)


def test_the_version_grows_with_every_change_but_those_that_requests_make() -> None:
    reg = registry(models={"m": "m"})
    other = BackendConfig(
        name="b", url="http://b.test", type=BackendType.VLLM, zone=PrivacyZone.OPEN
    )
    changes: list[Callable[[], object]] = [
        lambda: reg.add(other),
        lambda: reg.arrange(["b"]),
        lambda: reg.remove("b"),
        lambda: reg.change(replace(reg.snapshot("a"), priority=1), models_are_configured=True),
        lambda: reg.set_enabled("a", False),
        lambda: reg.set_zone_enabled(PrivacyZone.RESTRICTED, False),
        lambda: reg.set_rank("a", tier=4, priority=9),
        lambda: probed(reg, OK),
        lambda: reg.record_refused_key("a", "401"),
        lambda: reg.cooldowns.rest("a", "m", 5.0, "answered 429"),
        lambda: reg.cooldowns.clear("a", CooldownEnd.CLEARED),
    ]
    for change in changes:
        before, seen = reg.version, reg.snapshots()
        change()
        assert reg.version > before
        assert reg.snapshots() != seen

    before, live = reg.version, reg.live()
    reg.acquire("a")
    reg.record_success("a", 80.0)
    reg.snapshots()
    reg.release("a")
    probed(reg, OK)
    before_probe, version = reg.snapshot("a"), reg.version
    probed(reg, replace(OK, elapsed_ms=OK.elapsed_ms + 1))

    assert reg.version == version
    assert reg.snapshot("a").probe_ms != before_probe.probe_ms
    assert reg.live() == live
    assert [one.latency_ms for one in live] == [80.0]


def test_a_cloud_backend_is_known_as_long_as_it_is_there() -> None:
    reg = registry()
    cloud = BackendConfig(
        name="c", url="https://c.test", type=BackendType.OPENAI, zone=PrivacyZone.OPEN
    )
    seen = [reg.has_cloud]

    reg.add(cloud)
    seen.append(reg.has_cloud)
    reg.remove("c")
    seen.append(reg.has_cloud)

    assert seen == [False, True, False]

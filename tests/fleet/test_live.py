from __future__ import annotations

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from nexus_core.fleet.live import LiveBackend
from nexus_core.types import PrivacyZone


def live() -> LiveBackend:
    return LiveBackend.of(
        BackendConfig(
            name="a", url="http://a.test", type=BackendType.VLLM, zone=PrivacyZone.RESTRICTED
        )
    )


def test_the_first_value_is_the_average_and_each_later_one_moves_it_by_a_fifth() -> None:
    backend = live()

    for first_byte_ms, taken, given_back in ((100.0, 0.0, 4.0), (200.0, 10.0, 20.0)):
        backend.take(taken)
        backend.answered(first_byte_ms)
        backend.give_back(given_back)

    now = backend.snapshot()
    assert (now.latency_ms, now.service_seconds, now.in_flight) == (120.0, 5.2, 0)


def test_the_numbers_of_requests_are_those_of_the_snapshot() -> None:
    backend = live()
    before = backend.snapshot()

    backend.take(1.0)
    backend.take(2.0)

    assert before.in_flight == 0
    assert backend.snapshot().in_flight == len(backend.taken) == 2


def test_a_snapshot_is_kept_until_a_request_changes_something() -> None:
    backend = live()
    backend.take(1.0)
    seen = backend.snapshot()

    assert backend.snapshot() is seen
    backend.answered(1.0)
    assert backend.snapshot() is not seen


def test_a_list_of_models_in_the_file_stays() -> None:
    listed = BackendConfig(
        name="a",
        url="http://a.test",
        type=BackendType.VLLM,
        zone=PrivacyZone.RESTRICTED,
        models={"m": "m"},
    )

    assert LiveBackend.of(listed).configured_models
    assert not live().configured_models

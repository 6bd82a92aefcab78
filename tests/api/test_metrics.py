"""What /metrics says, read back with prometheus_client's own parser."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from nexus_core.api import metrics
from nexus_core.api.metrics import render
from nexus_core.api.routes import create_app
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.gateway import Gateway
from nexus_core.observe.events import RequestFinished, RequestRefused
from nexus_core.observe.operation_stats import OperationKey
from nexus_core.types import PrivacyZone
from tests.observe.happened import received
from tests.observe.test_stats import ATTEMPT, began, decided, failed, finished
from tests.waiting import others

HOSTILE = [
    'a"b',
    "a\\b",
    'a\n} 1\nnexus_fake{x="',
    "\x1b[31m",
    "modèle",
    "\ud800",
    "a\u2028b",
    "a\x00b",
]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway(
        Config(
            backends=tuple(
                BackendConfig(
                    name=name,
                    url="http://127.0.0.1:1",
                    type=kind,
                    zone=PrivacyZone.OPEN,
                    models={"m": "m"},
                )
                for name, kind in (("a", BackendType.VLLM), ("b", BackendType.OPENAI))
            )
        )
    )


def read(gateway: Gateway) -> CollectorRegistry:
    return asyncio.run(metrics.read(gateway))


def samples(gateway: Gateway) -> dict[tuple[str, tuple[str, ...]], float]:
    """(name, label values in the order of their names) -> value."""
    families = list(text_string_to_metric_families(render(read(gateway)).decode()))
    found = [sample for family in families for sample in family.samples]
    values = {
        (sample.name, tuple(sample.labels[key] for key in sorted(sample.labels))): sample.value
        for sample in found
    }
    assert len(values) == len(found)  # no series stands twice
    return values


def publish(gateway: Gateway, *events: Any) -> None:
    for event in events:
        gateway.bus.publish(event)


def test_before_the_first_request_every_family_parses(gateway: Gateway) -> None:
    found = samples(gateway)

    assert found["http_server_active_requests", ("POST", "http")] == 0
    assert found["nexus_overhead_seconds_count", ()] == 0
    assert found["nexus_backend_attempts_total", ("a",)] == 0
    assert found["nexus_backend_health", ("a", "unknown")] == 1
    assert found["nexus_backend_health", ("a", "healthy")] == 0


def test_a_request_after_a_failover(gateway: Gateway) -> None:
    publish(
        gateway,
        received(is_streaming=True),
        decided(backend="a", backend_type=BackendType.VLLM),
        failed(),
        decided(2),
        began(),
        finished(attempts=(ATTEMPT,), total_ms=50, overhead_ms=1),
    )

    found = samples(gateway)

    route = "/v1/chat/completions"
    assert found["http_server_request_duration_seconds_count", ("POST", "200", route, "http")] == 1
    assert found[
        "http_server_request_duration_seconds_sum", ("POST", "200", route, "http")
    ] == pytest.approx(0.05)
    duration = "gen_ai_client_operation_duration_seconds"
    assert found[f"{duration}_count", ("a", "503", "chat", "vllm", "m")] == 1
    assert found[f"{duration}_count", ("b", "", "chat", "openai", "m")] == 1
    assert found[f"{duration}_sum", ("b", "", "chat", "openai", "m")] == pytest.approx(0.046)
    usage = "gen_ai_client_token_usage_sum"
    assert found[usage, ("b", "chat", "openai", "m", "input")] == 3
    assert found[usage, ("b", "chat", "openai", "m", "output")] == 4
    first = "gen_ai_server_time_to_first_token_seconds_count"
    assert found[first, ("b", "chat", "openai", "m")] == 1
    assert found["nexus_failovers_total", ()] == 1
    assert found["nexus_backend_errors_total", ("a", "503")] == 1
    assert found["nexus_route_reasons_total", ("backend-failover",)] == 1
    assert found["nexus_overhead_seconds_sum", ()] == pytest.approx(0.001)


def test_the_numbers_are_those_of_the_json(gateway: Gateway) -> None:
    publish(gateway, received(), decided(), began(), finished())

    found = samples(gateway)

    stats = gateway.stats
    routed = [
        v for (name, _), v in found.items() if name.endswith("request_duration_seconds_count")
    ]
    assert sum(routed) == stats.finished == 1
    assert found["nexus_backend_attempts_total", ("b",)] == stats.backend("b").attempts == 1


def test_buckets_grow_and_end_with_the_count(gateway: Gateway) -> None:
    for number, ms in enumerate((0.1, 5, 15, 15, 70_000, 200_000)):
        publish(
            gateway,
            received(request_id=str(number)),
            finished(request_id=str(number), total_ms=ms, backend=None, backend_type=None),
        )

    text = render(read(gateway)).decode()

    name = "http_server_request_duration_seconds_bucket"
    lines = [line for line in text.splitlines() if line.startswith(name)]
    counts = {line.split('le="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}
    assert next(iter(counts)) == "0.01"
    assert list(counts)[-2:] == ["81.92", "+Inf"]
    assert len(counts) == 15
    assert [counts[le] for le in ("0.01", "0.02", "40.96", "81.92", "+Inf")] == [2, 4, 4, 5, 6]
    assert list(counts.values()) == sorted(counts.values())


@pytest.mark.parametrize("model", HOSTILE)
def test_a_hostile_model_name_stays_one_label(gateway: Gateway, model: str) -> None:
    publish(gateway, received(), decided(model=model), began(), finished(model=model))

    found = samples(gateway)

    assert not any(name.startswith("nexus_fake") for name, _ in found)
    labels = [labels for (name, labels) in found if name == "gen_ai_client_token_usage_sum"]
    assert {len(values) for values in labels} == {5}
    assert all(text.isprintable() for values in labels for text in values)


async def test_many_models_are_read_in_slices_of_the_loop(gateway: Gateway) -> None:
    for number in range(500):
        key = OperationKey("/v1/chat/completions", "a", BackendType.VLLM, f"m{number}")
        _ = gateway.stats.operations[key]

    async with others() as turns_of_others:
        await metrics.read(gateway)

    assert len(turns_of_others) >= 4


def test_a_model_that_nobody_serves_is_no_label(gateway: Gateway) -> None:
    nobody: RequestFinished = finished(
        backend=None,
        backend_type=None,
        reason=None,
        model="made-up",
        status=404,
        first_byte_ms=None,
    )

    publish(gateway, received(model="made-up"), nobody)

    text = render(read(gateway)).decode()
    assert "made-up" not in text
    assert 'http_response_status_code="404"' in text


def test_models_beyond_the_limit_are_counted_as_one(gateway: Gateway) -> None:
    for number in range(300):
        publish(
            gateway,
            received(),
            decided(model=f"m{number}"),
            began(),
            finished(model=f"m{number}"),
        )

    found = samples(gateway)

    counted = [
        (labels[-1], value)
        for (name, labels), value in found.items()
        if name == "gen_ai_client_operation_duration_seconds_count"
    ]
    assert len(counted) == 257
    assert ("unknown", 300 - 256) in counted


def test_a_refused_call_is_counted_by_its_code(gateway: Gateway) -> None:
    refused = RequestRefused(
        at=1, request_id="r", path="/v1/chat/completions", status=401, code="x"
    )

    publish(gateway, refused)

    assert samples(gateway)["nexus_requests_refused_total", ("x",)] == 1


async def test_the_route_answers_with_prometheus_text(gateway: Gateway) -> None:
    transport = httpx.ASGITransport(create_app(gateway))

    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/metrics")
        stats = await client.get("/v1/stats")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert list(text_string_to_metric_families(answer.text))
    assert set(stats.json()["backends"]) == {"a", "b"}
    assert stats.json()["backends"]["a"]["in_flight"] == 0


def test_nothing_of_prometheus_is_imported_before_a_scrape() -> None:
    code = (
        "import sys, nexus_core.api.routes, nexus_tui.cli\n"
        "sys.exit(any(name.startswith('prometheus') for name in sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", code], timeout=30)  # noqa: S603 - ours

    assert done.returncode == 0


def test_the_state_of_a_backend_is_read_when_it_is_asked(gateway: Gateway) -> None:
    gateway.registry.set_enabled("a", False)

    gateway.registry.acquire("b")
    found = samples(gateway)
    gateway.registry.release("b")

    assert found["nexus_backend_enabled", ("a",)] == 0
    assert found["nexus_backend_in_flight", ("b",)] == 1
    assert samples(gateway)["nexus_backend_in_flight", ("b",)] == 0


def test_statuses_are_a_closed_set(gateway: Gateway) -> None:
    for status in range(400, 600):
        publish(gateway, received(), decided(), began(), replace(finished(), status=status))

    found = samples(gateway)

    statuses = {
        labels[1] for name, labels in found if name == "http_server_request_duration_seconds_count"
    }
    assert {"400", "418", "429", "499", "500", "529"} <= statuses
    assert len(statuses) < 60

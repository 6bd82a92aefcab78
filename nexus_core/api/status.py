"""GET /health, /v1/models, /v1/stats, /metrics: status endpoints."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from nexus_core.api.asgi.messages import header
from nexus_core.api.health import read_health
from nexus_core.api.models import (
    describe_for_anthropic,
    describe_for_google,
    find_model,
    is_googles,
    list_models,
    not_served,
    view_of,
)
from nexus_core.background import in_background, load_in_background
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.fleet.snapshot_json import cooldown_as_json
from nexus_core.gateway import Gateway
from nexus_core.observe.histogram import Histogram
from nexus_core.observe.operation_stats import BackendStats
from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.window import MOVING, Window
from nexus_core.types import NANO

if TYPE_CHECKING:
    from nexus_core.keys.held import HeldKey


def create_router(gateway: Gateway) -> APIRouter:
    """Routes of the status endpoints."""
    router = APIRouter(tags=["status"])

    @router.get("/health")
    async def health(request: Request, response: Response) -> dict[str, Any]:
        """Readiness; needs no key.

        Version and process id are only included in answers to this machine. 503 while it drains:
        requests are still taken, but it is about to stop.
        """
        response.status_code, health = read_health(gateway, request.scope)
        return health

    @router.get("/v1/models")
    async def models(request: Request) -> Response:
        """Models and aliases served by the enabled backends."""
        return Response(
            await list_models(view_of(gateway, request.scope)), media_type="application/json"
        )

    @router.get("/v1/models/{model:path}")
    async def model(request: Request, model: str) -> dict[str, Any]:
        """One model or alias; to clients of Anthropic and Google in the shape of their API."""
        view = view_of(gateway, request.scope)
        found = find_model(view, model)
        if found is None:
            raise await not_served(view, model, "/v1/models")
        if header(request.scope, b"anthropic-version") is not None:
            return describe_for_anthropic(found)
        if is_googles(request.scope):
            return describe_for_google(view, model)
        return found

    @router.get("/v1/stats")
    async def stats() -> dict[str, Any]:
        """Statistics since start-up; `windows` has those of the last 1 min, 5 min and 1 h.

        `failed` counts errors: requests that Nexus or a backend failed, answers that broke off
        included. `client_errors` (4xx), `client_left` and `turned_away` (before routing) are none.
        Durations are in milliseconds, of answers only. A window is up to 5 s longer than its name
        says, the hour up to 65 s; `seconds` has its length.
        """
        return read_stats(gateway)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Metrics for Prometheus."""
        await load_in_background(_load_metrics)
        from nexus_core.api import metrics

        numbers = await metrics.read(gateway)
        text = await in_background(lambda: metrics.render(numbers))
        return Response(text, media_type=metrics.CONTENT_TYPE)

    return router


def _load_metrics() -> None:
    """Import what only a scrape needs: it takes long enough to be felt by a stream."""
    import_module("nexus_core.api.metrics")


def read_stats(gateway: Gateway) -> dict[str, Any]:
    """Statistics as JSON, since the start and of each window; durations in milliseconds.

    Until the ledger was read after the start no money is known: null, never 0.
    """
    stats, is_known = gateway.stats, gateway.cost_tracker.is_read
    return {
        "uptime_seconds": round(gateway.now() - gateway.started_at, 3),
        "in_flight": stats.in_flight,
        "queued": gateway.queued,
        **numbers_as_json(stats, is_known=is_known),
        "budget": _budget(gateway),
        "ledger": {
            "is_read": is_known,
            "problem": gateway.cost_tracker.ledger.problem,
            "lost": gateway.cost_tracker.ledger.lost,
            **_outbox(gateway),
        },
        "backends": {
            snapshot.name: _state(snapshot, gateway.registry.clock())
            | backend_as_json(stats.backends.get(snapshot.name, BackendStats()), is_known=is_known)
            for snapshot in gateway.registry.snapshots()
        },
        "keys": {key.name: _key(gateway, key) for key in gateway.keys.metered},
        "windows": {window.value: _window(gateway, window) for window in MOVING},
    }


def _outbox(gateway: Gateway) -> dict[str, Any]:
    shared = gateway.cost_tracker.shared
    if shared is None:
        return {}
    from nexus_core.money.shared.as_json import outbox_as_json

    return {"outbox": outbox_as_json(shared, gateway.now(), is_private=True)}


def _key(gateway: Gateway, key: HeldKey) -> dict[str, Any]:
    """Limits of a client key, and what is used of them now."""
    from nexus_core.keys.as_json import use_as_json

    spent = gateway.cost_tracker.budget.account(key.name, gateway.now())
    return use_as_json(key.meter, key.clock(), spent)


def _window(gateway: Gateway, window: Window) -> dict[str, Any]:
    """Numbers of a window; of backends those that were used in it."""
    stats, is_known = gateway.windows.of(window), gateway.cost_tracker.is_read
    return {
        "seconds": round(gateway.windows.seconds(window), 3),
        **numbers_as_json(stats, is_known=is_known),
        "backends": {
            snapshot.name: backend_as_json(numbers, is_known=is_known)
            for snapshot in gateway.registry.snapshots()
            if (numbers := stats.backends.get(snapshot.name)) is not None
            and (numbers.attempts or numbers.answers)
        },
    }


def numbers_as_json(stats: Stats, *, is_known: bool) -> dict[str, Any]:
    """What the numbers mean is said in docs/numbers.md."""
    return {
        "requests": stats.requests,
        "finished": stats.finished,
        "failed": stats.failed,
        "client_errors": stats.client_errors,
        "client_left": stats.client_left,
        "turned_away": stats.turned_away,
        "refused": stats.turned_away,  # its name until 0.1
        "refused_by_cut": stats.refused_by_cut,
        "refused_for_privacy": stats.refused_for_privacy,
        "attempts": stats.attempts,
        "failovers": stats.failovers,
        "local_answers": stats.local_answers,
        "cloud_answers": stats.cloud_answers,
        "prompt_tokens": stats.prompt_tokens,
        "completion_tokens": stats.completion_tokens,
        "counted_prompt_tokens": stats.counted_prompt_tokens,
        "counted_completion_tokens": stats.counted_completion_tokens,
        "cost_usd": _usd(stats.cost_nano_usd) if is_known else None,
        "cost_estimated_usd": _usd(stats.estimated_nano_usd) if is_known else None,
        "unpriced": stats.unpriced,
        "saved_usd": _usd(stats.saved_nano_usd) if is_known else None,
        "route_reasons": {reason.value: count for reason, count in stats.reasons.items()},
        "statuses": {str(status): count for status, count in sorted(stats.statuses.items())},
        "refusals": dict(stats.refusals),
        "first_byte_ms": _percentiles(stats.first_byte),
        "total_ms": _percentiles(stats.total),
        "overhead_ms": _percentiles(stats.overhead),
    }


def _state(snapshot: BackendSnapshot, at: float) -> dict[str, Any]:
    whole, models = snapshot.cooldown, snapshot.cooldowns
    return {
        "in_flight": snapshot.in_flight,
        "cooldown": None if whole is None else cooldown_as_json(whole, at),
        "cooldowns": {model: cooldown_as_json(one, at) for model, one in models.items()},
    }


def backend_as_json(numbers: BackendStats, *, is_known: bool) -> dict[str, Any]:
    return {
        "attempts": numbers.attempts,
        "answers": numbers.answers,
        "failures": numbers.failures,
        "errors": dict(numbers.errors),
        "prompt_tokens": numbers.prompt_tokens,
        "completion_tokens": numbers.completion_tokens,
        "counted_prompt_tokens": numbers.counted_prompt_tokens,
        "counted_completion_tokens": numbers.counted_completion_tokens,
        "cost_usd": _usd(numbers.cost_nano_usd) if is_known else None,
        "cost_estimated_usd": _usd(numbers.estimated_nano_usd) if is_known else None,
        "unpriced": numbers.unpriced,
        "first_byte_ms": _percentiles(numbers.first_byte),
        "total_ms": _percentiles(numbers.total),
    }


def _budget(gateway: Gateway) -> dict[str, Any]:
    """The whole gateway's month: dollars spent and set aside, and its limit if it has one.

    Status and what is spent are null where the month's beginning is not known.
    """
    budget, at, is_known = (
        gateway.cost_tracker.budget,
        gateway.now(),
        gateway.cost_tracker.is_month_known,
    )
    status = budget.status(None, at)
    limit = budget.limit_nano_usd
    return {
        "status": status.value if is_known else None,
        "month": str(budget.month),
        "spent_usd": _usd(budget.spent_nano_usd) if is_known else None,
        "reserved_usd": _usd(budget.reserved_nano_usd),
        "limit_usd": None if limit is None else _usd(limit),
        "resets_in_seconds": gateway.cost_tracker.resets_in_seconds(),
    }


def _usd(nano_usd: int) -> float:
    return nano_usd / NANO


def _percentiles(histogram: Histogram) -> dict[str, float | None]:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    values = {name: histogram.percentile(share) for name, share in shares.items()}
    return {name: None if value is None else round(value, 2) for name, value in values.items()}

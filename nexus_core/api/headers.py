"""X-Nexus-* headers: routing hints of requests, and the route in responses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import quote

from nexus_core.api.asgi.messages import RawHeaders, Scope
from nexus_core.errors import InvalidRequestError
from nexus_core.observe.record import KeptHeaders
from nexus_core.proxy.reply import SelectedRoute
from nexus_core.routing.requirements import NO_HINTS, RoutingHints
from nexus_core.types import BudgetStatus, Cost, PrivacyZone
from nexus_core.upstream.base import Headers

RawHeader: TypeAlias = tuple[bytes, bytes]

REQUEST_ID = b"x-nexus-request-id"
_OVERHEAD = b"x-nexus-overhead-ms"

# What a backend's answer may tell the client. Never X-Nexus-*, Set-Cookie, Location, or anything
# about the connection.
_PASSED = frozenset(
    {
        "content-type",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "request-id",
        "x-request-id",
        "cf-ray",
        "apim-request-id",
        "x-ms-request-id",
        "openai-processing-ms",
        "openai-version",
        "openai-model",
    }
)
_PASSED_PREFIXES = ("x-ratelimit-", "x-rate-limit-", "ratelimit", "anthropic-ratelimit-")
# nginx and its kin collect a stream into blocks of 16 KB unless its answer says otherwise.
# https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering
STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
# They differ from answer to answer: nothing to share.
_OF_ONE_ANSWER = frozenset({REQUEST_ID, _OVERHEAD})
_SHORT = 100  # bytes of a header that is worth sharing
_UNSAFE = re.compile(r"[^\x20-\x7e\t]")
_CREDENTIALS = frozenset(
    {
        b"authorization",
        b"proxy-authorization",
        b"cookie",
        b"x-api-key",
        b"api-key",
        b"x-goog-api-key",
    }
)


@dataclass(frozen=True, slots=True)
class NexusHeaders:
    """The X-Nexus-* response headers of an answer."""

    request_id: str
    selected: SelectedRoute | None  # None: no backend was reached
    overhead_ms: float | None = None  # None: the answer is Nexus's own

    def inject_into(self, headers: RawHeaders) -> None:
        """Append them."""
        headers.append((REQUEST_ID, self.request_id.encode()))
        if self.selected is None:
            return
        backend = self.selected.backend
        headers += [
            (b"x-nexus-backend", backend.name.encode()),
            (b"x-nexus-backend-type", backend.type.location.encode()),
            (b"x-nexus-route-reason", self.selected.reason.value.encode()),
            (b"x-nexus-privacy-zone", backend.zone.value.encode()),
            (b"x-nexus-model", quote(self.selected.model, safe="/:@+,;=~ ()[]").encode()),
        ]
        if self.selected.cost is not None:
            headers.append((b"x-nexus-cost-estimated", shown_cost(self.selected.cost).encode()))
        if self.selected.budget is not BudgetStatus.NORMAL:
            headers.append((b"x-nexus-budget-status", self.selected.budget.value.encode()))
        if self.selected.dropped:
            headers.append((b"x-nexus-dropped-params", ", ".join(self.selected.dropped).encode()))
        if self.overhead_ms is not None:
            headers.append((_OVERHEAD, b"%.1f" % self.overhead_ms))


def shown_cost(cost: Cost) -> str:
    """Format a cost in US dollars, with enough digits for small costs."""
    return f"${cost.usd:.{9 if 0 < cost.nano_usd < 1000 else 6}f}"


def passed_headers(upstream: Headers) -> RawHeaders:
    """Response headers of a backend that pass, by allow-list; the first of each name."""
    passed: dict[str, str] = {}
    for name, value in upstream:
        if name in _PASSED or name.startswith(_PASSED_PREFIXES):
            passed.setdefault(name, value)
    return [
        (name.encode("latin-1"), _UNSAFE.sub("?", value).encode()) for name, value in passed.items()
    ]


def masked_headers(headers: Iterable[RawHeader]) -> KeptHeaders:
    """Headers to keep for events and the screen: credentials are masked whole.

    Thousands of requests are kept, and most headers are those of the request before: what is
    equal is shared.
    """
    return tuple([_shared_get(pair) or _share(pair) for pair in headers])


_MOST_SHARED = 1024
_shared: dict[RawHeader, RawHeader] = {}
_shared_get = _shared.get


def _share(pair: RawHeader) -> RawHeader:
    name, value = pair
    if name in _CREDENTIALS:
        return name, b"***"
    if name in _OF_ONE_ANSWER or len(name) + len(value) > _SHORT:
        return pair
    if len(_shared) >= _MOST_SHARED:
        _shared.clear()
    _shared[pair] = pair
    return pair


def read_hints(scope: Scope, backends: Collection[str]) -> RoutingHints:
    """Read the routing hints in X-Nexus-* request headers; of two values the stricter counts.

    Raises:
        InvalidRequestError: a value is not allowed; `param` names the header.
    """
    told: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        if name.startswith(b"x-nexus-"):
            told.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1").strip())
    if not told:
        return NO_HINTS
    zones = _read(told, "X-Nexus-Privacy-Zone", tuple(PrivacyZone), "restricted or open")
    tiers = _read(told, "X-Nexus-Min-Tier", ("0", "1", "2", "3", "4"), "a whole number 0 to 4")
    names = _read(told, "X-Nexus-Backend", backends, "the name of a backend")
    priorities = _read(told, "X-Nexus-Priority", ("high", "normal"), "high or normal")
    flexible = _read(told, "X-Nexus-Flexible", ("true", "false"), "true or false")
    if len(set(names)) > 1:
        raise InvalidRequestError(
            "X-Nexus-Backend: sent twice with different names", param="X-Nexus-Backend"
        )
    priority: Literal["high", "normal"] = (
        "high" if priorities and "normal" not in priorities else "normal"
    )
    return RoutingHints(
        zone=PrivacyZone.RESTRICTED if "restricted" in zones else PrivacyZone.OPEN,
        min_tier=max((int(tier) for tier in tiers), default=None),
        backend=names[0] if names else None,
        priority=priority,
        flexible=bool(flexible) and "false" not in flexible,
    )


def _read(
    told: Mapping[str, list[str]], name: str, allowed: Collection[str], words: str
) -> list[str]:
    values = told.get(name.lower(), [])
    for value in values:
        if value not in allowed:
            raise InvalidRequestError(f"{name}: must be {words}, not {value!r}", param=name)
    return values

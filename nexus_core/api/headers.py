"""X-Nexus-* headers: routing hints of requests, and the route in responses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Literal, TypeAlias
from urllib.parse import quote

from nexus_core.api.asgi.messages import RawHeaders
from nexus_core.catalog import BackendType
from nexus_core.errors import InvalidRequestError
from nexus_core.observe.record import HeaderLines, KeptHeaders
from nexus_core.proxy.reply import SelectedRoute
from nexus_core.routing.requirements import NO_HINTS, RoutingHints
from nexus_core.types import BudgetStatus, Cost, PrivacyZone, RouteReason
from nexus_core.upstream.base import Headers

RawHeader: TypeAlias = tuple[bytes, bytes]

REQUEST_ID = b"x-nexus-request-id"

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
_SHORT = 100  # bytes of a header that is worth sharing
_UNSAFE = re.compile(r"[^\x20-\x7e\t]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
# Headers with credentials, or with what is nobody's business, as they are kept.
_MASKED = {
    name: (name, b"***")
    for name in (
        *(b"authorization", b"proxy-authorization", b"cookie"),
        *(b"x-api-key", b"api-key", b"x-goog-api-key"),
        b"x-codex-turn-metadata",  # paths of the user's folders
    )
}


def answer_head(
    first: RawHeaders,
    request_id: str,
    selected: SelectedRoute | None,
    overhead_ms: float | None = None,
) -> HeaderLines:
    """The headers of an answer, as they are sent and kept.

    Args:
        first: what stands before Nexus's own.
        selected: None: no backend was reached.
        overhead_ms: None: the answer is Nexus's own.
    """
    lines = [b": ".join(pair) for pair in first]
    lines.append(b"%b: %b" % (REQUEST_ID, request_id.encode()))
    if selected is not None:
        backend = selected.backend
        lines.append(
            _route_lines(backend.name, backend.type, selected.reason, backend.zone, selected.model)
        )
        if selected.cost is not None:
            lines.append(b"x-nexus-cost-estimated: " + shown_cost(selected.cost).encode())
        if selected.budget is not BudgetStatus.NORMAL:
            lines.append(b"x-nexus-budget-status: " + selected.budget.value.encode())
        if selected.dropped:
            lines.append(b"x-nexus-dropped-params: " + ", ".join(selected.dropped).encode())
        if overhead_ms is not None:
            lines.append(b"x-nexus-overhead-ms: %.1f" % overhead_ms)
    return b"\r\n".join(lines)


@lru_cache(maxsize=1024)
def _route_lines(
    backend: str, kind: BackendType, reason: RouteReason, zone: PrivacyZone, model: str
) -> HeaderLines:
    """What all answers by this route have in common."""
    lines = (
        f"x-nexus-backend: {backend}",
        f"x-nexus-backend-type: {kind.location}",
        f"x-nexus-route-reason: {reason.value}",
        f"x-nexus-privacy-zone: {zone.value}",
        f"x-nexus-model: {quote(model, safe='/:@+,;=~ ()[]')}",
    )
    return "\r\n".join(lines).encode()


def shown_cost(cost: Cost) -> str:
    """Format a cost in US dollars, with enough digits for small costs."""
    nano_usd = cost.nano_usd
    if 0 < nano_usd < 1000:
        return f"$0.{nano_usd:09d}"
    micro_usd, rest = divmod(nano_usd, 1000)
    if rest > 500 or (rest == 500 and micro_usd & 1):  # half to even, as Decimal rounds
        micro_usd += 1
    return f"${micro_usd // 1_000_000}.{micro_usd % 1_000_000:06d}"


def passed_headers(upstream: Headers) -> dict[bytes, bytes]:
    """Response headers of a backend that pass, by allow-list; the first of each name."""
    passed: dict[bytes, bytes] = {}
    for name, value in upstream:
        known = _passed_name(name)
        if known is not None and known not in passed:
            is_plain = value.isascii() and value.isprintable()
            passed[known] = (value if is_plain else _UNSAFE.sub("?", value)).encode()
    return passed


@lru_cache(maxsize=512)
def _passed_name(name: str) -> bytes | None:
    """The name of a header that passes, as it is sent; None of every other."""
    if name in _PASSED or (name.startswith(_PASSED_PREFIXES) and _TOKEN.fullmatch(name)):
        return name.encode()
    return None


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
    if (masked := _MASKED.get(name)) is not None:
        return masked
    if len(name) + len(value) > _SHORT:
        return pair
    if len(_shared) >= _MOST_SHARED:
        _shared.clear()
    _shared[pair] = pair
    return pair


def read_hints(headers: RawHeaders, backends: Collection[str]) -> RoutingHints:
    """Read the routing hints in X-Nexus-* request headers; of two values the stricter counts.

    Raises:
        InvalidRequestError: a value is not allowed; `param` names the header.
    """
    told: dict[str, list[str]] = {}
    for name, value in headers:
        if name >= b"x-nexus-" and name.startswith(b"x-nexus-"):  # few are worth the second look
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

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexus_core.api.headers import (
    _shared,
    answer_head,
    masked_headers,
    passed_headers,
    read_hints,
    shown_cost,
)
from nexus_core.catalog import BackendType
from nexus_core.errors import InvalidRequestError
from nexus_core.observe.record import header_pairs
from nexus_core.proxy.reply import SelectedRoute
from nexus_core.routing.requirements import RoutingHints
from nexus_core.types import BudgetStatus, Cost, PrivacyZone, RouteReason
from tests.made_up_backends import snapshot


def headers(*pairs: tuple[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in pairs]


def test_no_headers_ask_for_nothing() -> None:
    assert read_hints(headers(), {"a"}) == RoutingHints()


def test_every_header_is_read() -> None:
    hints = read_hints(
        headers(
            ("X-Nexus-Privacy-Zone", "restricted"),
            ("X-Nexus-Min-Tier", "3"),
            ("X-Nexus-Backend", "a"),
            ("X-Nexus-Priority", "high"),
            ("X-Nexus-Flexible", "true"),
        ),
        {"a"},
    )

    assert hints == RoutingHints(PrivacyZone.RESTRICTED, 3, "a", "high", True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Nexus-Privacy-Zone", "private"),
        ("X-Nexus-Privacy-Zone", ""),
        ("X-Nexus-Privacy-Zone", "Restricted"),
        ("X-Nexus-Privacy-Zone", "restricted, open"),
        ("X-Nexus-Min-Tier", "5"),
        ("X-Nexus-Min-Tier", "-1"),
        ("X-Nexus-Min-Tier", "03"),
        ("X-Nexus-Min-Tier", "three"),
        ("X-Nexus-Backend", "nobody"),
        ("X-Nexus-Priority", "low"),
        ("X-Nexus-Flexible", "yes"),
    ],
)
def test_a_bad_value_is_a_400_that_names_the_header(name: str, value: str) -> None:
    with pytest.raises(InvalidRequestError, match=name) as caught:
        read_hints(headers((name, value)), {"a"})

    assert caught.value.param == name


def test_of_two_values_the_stricter_counts() -> None:
    hints = read_hints(
        headers(
            ("X-Nexus-Privacy-Zone", "open"),
            ("X-Nexus-Privacy-Zone", "restricted"),
            ("X-Nexus-Privacy-Zone", "open"),
            ("X-Nexus-Min-Tier", "1"),
            ("X-Nexus-Min-Tier", "4"),
            ("X-Nexus-Min-Tier", "2"),
            ("X-Nexus-Flexible", "true"),
            ("X-Nexus-Flexible", "false"),
        ),
        {"a"},
    )

    assert hints == RoutingHints(PrivacyZone.RESTRICTED, 4)


def test_two_pins_are_refused() -> None:
    pins = headers(("X-Nexus-Backend", "a"), ("X-Nexus-Backend", "b"))

    with pytest.raises(InvalidRequestError, match="twice"):
        read_hints(pins, {"a", "b"})


def test_the_response_headers_tell_where_the_answer_came_from() -> None:
    backend = snapshot("openai", type=BackendType.OPENAI, zone=PrivacyZone.OPEN)
    selected = SelectedRoute(backend, "gpt-4o", RouteReason.BACKEND_FAILOVER)

    told = answer_head([(b"a", b"b")], "id1", selected)

    assert header_pairs(told) == [
        (b"a", b"b"),
        (b"x-nexus-request-id", b"id1"),
        (b"x-nexus-backend", b"openai"),
        (b"x-nexus-backend-type", b"cloud"),
        (b"x-nexus-route-reason", b"backend-failover"),
        (b"x-nexus-privacy-zone", b"open"),
        (b"x-nexus-model", b"gpt-4o"),
    ]
    assert told.count(b"\r\n") == 6  # between lines


def test_what_is_known_of_one_answer_follows_its_route() -> None:
    selected = SelectedRoute(
        snapshot(),
        "m",
        RouteReason.CAPABILITY_MATCH,
        dropped=("top_p", "seed"),
        cost=Cost(4_200_000, "config"),
        budget=BudgetStatus.SOFT_LIMIT,
    )

    told = answer_head([], "id1", selected, overhead_ms=0.25)

    assert header_pairs(told)[6:] == [
        (b"x-nexus-cost-estimated", b"$0.004200"),
        (b"x-nexus-budget-status", b"soft_limit"),
        (b"x-nexus-dropped-params", b"top_p, seed"),
        (b"x-nexus-overhead-ms", b"0.2"),
    ]


@given(st.integers(0, 10**15))
@example(0)
@example(999)
@example(1500)
@example(2500)
@example(999_999_500)
def test_a_cost_is_rounded_as_decimal_rounds_it(nano_usd: int) -> None:
    cost = Cost(nano_usd, "config")
    digits = 9 if 0 < nano_usd < 1000 else 6

    assert shown_cost(cost) == f"${cost.usd:.{digits}f}"


@pytest.mark.parametrize("model", ["a\r\nx-evil: 1", "modèle", "\x00\x1b[31m", "a\u2028b"])
def test_a_hostile_model_name_stays_one_plain_header(model: str) -> None:
    selected = SelectedRoute(snapshot(), model, RouteReason.CAPABILITY_MATCH)

    value = dict(header_pairs(answer_head([], "i", selected)))[b"x-nexus-model"]

    assert all(0x20 <= byte < 0x7F for byte in value)


def test_upstream_headers_pass_by_allow_list() -> None:
    upstream = (
        ("content-type", "text/event-stream"),
        ("set-cookie", "a=b"),
        ("x-nexus-backend", "spoofed"),
        ("location", "http://elsewhere"),
        ("connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
        ("server", "x"),
        ("retry-after", "7"),
        ("x-ratelimit-remaining-requests", "1\x7f"),
        ("x-request-id", "req_1"),
        ("x-request-id", "req_2"),
        ("x-ratelimit-\r\nx-evil", "1"),
    )

    assert list(passed_headers(upstream).items()) == [
        (b"content-type", b"text/event-stream"),
        (b"retry-after", b"7"),
        (b"x-ratelimit-remaining-requests", b"1?"),
        (b"x-request-id", b"req_1"),
    ]


@pytest.mark.parametrize("name", ["authorization", "cookie", "x-api-key", "x-goog-api-key"])
def test_credentials_are_masked_whole_for_the_screen(name: str) -> None:
    assert masked_headers([(name.encode(), b"Bearer sk-1234")]) == ((name.encode(), b"***"),)
    assert not any(b"sk-1234" in value for pair in _shared.items() for _, value in pair)


def test_equal_headers_of_requests_are_kept_once() -> None:
    first, second = (masked_headers([(b"accept", b"text/" + bytes([98]))]) for _ in range(2))

    assert first[0] is second[0]


def test_what_is_shared_among_requests_is_short_and_bounded() -> None:
    before = len(_shared)

    masked_headers([(b"x" * 60_000, b"1"), (b"x-long", b"v" * 60_000)])
    assert len(_shared) == before

    masked_headers((b"x-number", str(number).encode()) for number in range(3000))
    assert len(_shared) <= 1024

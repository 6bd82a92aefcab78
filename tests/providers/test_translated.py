from __future__ import annotations

from typing import Any

import pytest

from nexus_core.errors import InvalidRequestError
from nexus_core.providers.translated import dump_body


def deep(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize(
    ("body", "why"),
    [({"a": float("inf")}, "out of range"), ({"a": [float("nan")]}, "out of range")],
)
def test_what_json_can_not_hold_is_the_clients_fault(body: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequestError, match=why):
        dump_body(body)


def test_a_body_without_end_is_the_clients_fault() -> None:
    with pytest.raises(InvalidRequestError, match="too deep"):
        dump_body(deep(100_000))

"""What simulated models fill schemas with: any schema that a client sends."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from nexus_core.demo.simulated.answers import made_up


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "array", "items": True}, [{}]),
        ({"type": "array", "items": False}, []),
        ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False}, [1, 2]),
        ({"type": "object", "properties": {"a": True, "b": {"const": 1}}}, {"a": {}, "b": 1}),
        ({"anyOf": [True]}, {}),
    ],
)
def test_a_schema_that_is_true_or_false_is_filled_too(schema: dict[str, Any], value: Any) -> None:
    assert made_up(schema, Random(0)) == value

from __future__ import annotations

import pytest

from nexus_core.some_names import some_names


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b"], "a, b"),
        (["a", "b", "c"], "a, b and 1 more"),
        (["a", "b", "c", "d", "e"], "a, b and 3 more"),
    ],
)
def test_the_first_few_are_named_and_the_rest_is_counted(names: list[str], told: str) -> None:
    assert some_names(names, 2) == told

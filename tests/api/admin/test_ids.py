from __future__ import annotations

import pytest

from nexus_core.api.admin.ids import is_id, number_of, numbered


def test_an_id_gives_back_its_number() -> None:
    assert number_of(numbered("1f0c", 17), "1f0c", last=17) == 17


@pytest.mark.parametrize(
    "text", ["1f0d-17", "1f0c-18", "1f0c-", "-17", "1f0c-17 ", "1f0c-\u0661", ""]
)
def test_an_id_of_another_run_or_of_the_future_has_none(text: str) -> None:
    assert number_of(text, "1f0c", last=17) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-0", True), ("f" * 16 + "-1", True), ("f" * 17 + "-1", False), ("g-1", False)],
)
def test_what_an_id_looks_like(text: str, expected: bool) -> None:
    assert is_id(text) is expected

from __future__ import annotations

import pytest

from nexus_tui.view.filter.requests import parse_filter
from nexus_tui.widgets.base.filter_lines import filter_parts, filter_problem, nothing_matches

NAMES = {"backend": lambda: ["vllm-a"]}


@pytest.mark.parametrize(
    ("text", "parts", "problem", "empty"),
    [
        ("", [], "", "  Nothing matches. esc shows all"),
        ("gpt", ["filter: gpt", "2 of 1,000"], "", "  Nothing matches. esc shows all"),
        (
            "zone:x\x1b",
            ["filter: zone:x\\x1b", "2 of 1,000"],
            "zone: must be restricted or open",
            "  zone: must be restricted or open",
        ),
        (
            "backend:vlm",
            ["filter: backend:vlm", "2 of 1,000"],
            "",
            '  backend: none is called "vlm"; did you mean "vllm-a"?',
        ),
    ],
)
def test_a_filter_is_told(text: str, parts: list[str], problem: str, empty: str) -> None:
    current = parse_filter(text, NAMES)

    assert filter_parts(current, 2, 1000) == parts
    assert filter_problem(current) == problem
    assert "".join(cell for line in nothing_matches(current) for cell, _ in line) == empty

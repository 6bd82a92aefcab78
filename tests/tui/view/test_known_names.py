from __future__ import annotations

import pytest

from nexus_tui.view.known_names import known_names
from nexus_tui.view.model import ViewModel
from tests.tui.fleet import make_source


@pytest.mark.parametrize(
    ("key", "known", "unknown"),
    [
        ("model", {"llama3:70b", "gpt-4o", "secret-gpt"}, "vllm-a"),
        ("backend", {"vllm-a", "openai", "other-cloud"}, "gpt-4o"),
        ("key", {"ci"}, "laptop"),
    ],
)
def test_names_are_those_configured_and_those_seen(key: str, known: set[str], unknown: str) -> None:
    source, _ = make_source()
    view = ViewModel(source.requests)
    view.take(source.changed())

    names = set(known_names(source, view)[key]())

    assert known <= names
    assert unknown not in names

from __future__ import annotations

from typing import Any, get_args

import pytest
from anthropic.types import Model

from nexus_core.dialects.anthropic.models import (
    FALLBACK_MODELS,
    FOREIGN,
    NEWEST,
    Family,
    ModelPage,
    family_of,
    read_models,
)

KNOWN = [name for name in get_args(get_args(Model)[0]) if isinstance(name, str)]


@pytest.mark.parametrize(
    ("model", "same_as"),
    [
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-opus-4.5", "claude-opus-4-5"),
        ("anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"),
        ("claude-opus-4-5@20251101", "claude-opus-4-5"),
        ("anthropic/claude-sonnet-4.6", "claude-sonnet-4-6"),
        ("Claude-Sonnet-4-6", "claude-sonnet-4-6"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4-0"),
        ("claude-3-7-sonnet-latest", "claude-3-7-sonnet-20250219"),
        ("claude-3-5-haiku@20241022", "claude-3-5-haiku-latest"),
        ("claude-opus-4-8", "claude-opus-4-7"),
        ("claude-mythos-5-2", "claude-fable-5-2"),
        ("claude-opus-5-4", "claude-opus-5"),
    ],
)
def test_a_model_is_known_by_many_names(model: str, same_as: str) -> None:
    assert family_of(model) == family_of(same_as)


@pytest.mark.parametrize(
    "model", ["claude-opus-6", "claude-haiku-5-7", "claude-novel-5", "claude-novel", "claude-opus"]
)
def test_an_unknown_newer_model_follows_the_newest_family(model: str) -> None:
    assert family_of(model) is NEWEST


@pytest.mark.parametrize("model", ["glm-5", "MiniMax-M3", "deepseek-v4", "claude", ""])
def test_models_of_others_follow_their_own_rules(model: str) -> None:
    assert family_of(model) is FOREIGN


@pytest.mark.parametrize("model", KNOWN)
def test_every_model_of_the_sdk_has_rules_that_go_together(model: str) -> None:
    family = family_of(model)

    assert family.max_tokens >= 64_000
    assert bool(family.efforts) is (family.thinking == "adaptive")
    assert not (family.prefill and family.thinking == "adaptive")


@pytest.mark.parametrize(
    ("model", "rules"),
    [
        ("claude-opus-5-5", {"forced_tools": False, "thinking_off": "never", "sampling": "none"}),
        ("claude-fable-5-1", {"forced_tools": False, "thinking_off": "never"}),
        ("claude-fable-5", {"forced_tools": True, "thinking_off": "never"}),
        ("claude-sonnet-5-5", {"forced_tools": False, "thinking_off": "between_tools"}),
        ("claude-haiku-5-5", {"forced_tools": True, "thinking_off": "disabled"}),
        ("claude-opus-4-7", {"sampling": "none", "prefill": False, "thinking": "adaptive"}),
        ("claude-sonnet-4-6", {"sampling": "one", "prefill": False, "thinking": "adaptive"}),
        ("claude-opus-4-5", {"sampling": "one", "prefill": True, "thinking": "budget"}),
        ("claude-haiku-4-5", {"sampling": "one", "thinking": "budget", "efforts": ()}),
        ("claude-opus-4-20250514", {"sampling": "both", "structured": False}),
        ("claude-3-5-sonnet-20241022", {"thinking": "none", "pdfs": True, "max_tokens": 8_192}),
        ("claude-3-haiku-20240307", {"thinking": "none", "pdfs": False, "max_tokens": 4_096}),
        ("claude-mythos-preview", {"thinking_off": "never", "thinking": "adaptive"}),
        ("claude-instant-1.2", {"images": False}),
        ("claude-2.1", {"images": False, "pdfs": False}),
    ],
)
def test_the_table_says(model: str, rules: dict[str, Any]) -> None:
    family = family_of(model)

    assert {name: getattr(family, name) for name in rules} == rules


def test_the_fallback_list_has_what_the_sdk_knows() -> None:
    dateless = {name for name in KNOWN if not name[-8:].isdigit()}
    listed = {name[:-9] if name[-8:].isdigit() else name for name in FALLBACK_MODELS}

    assert listed == {name for name in dateless if "mythos" not in name}
    assert all(isinstance(family_of(name), Family) for name in FALLBACK_MODELS)


def test_pages_are_read_one_after_the_other() -> None:
    models = [{"type": "model", "id": "a"}, {"type": "model", "id": "b"}]

    assert read_models({"data": models, "has_more": True, "last_id": "b"}) == ModelPage(
        ["a", "b"], "b"
    )
    assert read_models({"data": models, "has_more": False, "last_id": "b"}).after_id is None


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ({"data": [{"id": ""}, {"id": 5}, {}, "x", {"id": "a"}]}, ModelPage(["a"], None)),
        ({"data": [], "has_more": True, "last_id": "b"}, ModelPage([], None)),
        ({"data": [{"id": "a"}], "has_more": True}, ModelPage(["a"], None)),
        ({"data": [{"id": "a"}], "has_more": True, "last_id": ""}, ModelPage(["a"], None)),
    ],
)
def test_a_strange_page_ends_the_list(page: dict[str, Any], expected: ModelPage) -> None:
    assert read_models(page) == expected


@pytest.mark.parametrize("page", [{}, {"data": "x"}, {"models": []}])
def test_what_is_no_list_of_models_is_a_value_error(page: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="list of models"):
        read_models(page)

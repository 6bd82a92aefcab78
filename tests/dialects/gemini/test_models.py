from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.gemini import FALLBACK_MODELS, family_of, read_models


def model(name: str, *methods: str) -> dict[str, Any]:
    return {"name": name, "supportedGenerationMethods": list(methods)}


def test_a_page_of_models() -> None:
    page = read_models(
        {
            "models": [
                model("models/gemini-3.8-flash", "generateContent", "countTokens"),
                model("models/gemini-embedding-001", "embedContent"),
                model("models/both", "embedContent", "generateContent"),
                model("models/imagen-5", "predict"),
                model("tunedModels/mine", "generateContent"),
                {"name": "models/silent"},
            ],
            "nextPageToken": "page2",
        }
    )

    assert page.chat == ("gemini-3.8-flash", "both")
    assert page.embeddings == ("gemini-embedding-001", "both")
    assert page.names == ("gemini-3.8-flash", "both", "gemini-embedding-001")
    assert page.next_page_token == "page2"  # noqa: S105 - of a list, no secret


@pytest.mark.parametrize("page", [{}, {"models": [], "nextPageToken": ""}])
def test_the_last_page_may_be_empty(page: dict[str, Any]) -> None:
    assert read_models(page) == ((), (), None)


@pytest.mark.parametrize(
    "page",
    [
        {"models": {}},
        {"models": [5]},
        {"models": [{"name": 5}]},
        {"models": [{"name": "models/x", "supportedGenerationMethods": "generateContent"}]},
    ],
)
def test_what_is_no_list_of_models(page: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_models(page)


@pytest.mark.parametrize(
    ("name", "newest"),
    [
        ("gemini-4-argon", True),
        ("gemini-9.9-whatever", True),
        ("gemini-pro-latest", True),
        ("models/gemini-2.5-pro", False),
        ("Gemini-2.5-Flash", False),
    ],
)
def test_an_unknown_model_is_like_the_newest(name: str, newest: bool) -> None:
    assert (family_of(name) == family_of("a-model-of-tomorrow")) is newest


@pytest.mark.parametrize("name", FALLBACK_MODELS)
def test_each_family_thinks_in_one_way(name: str) -> None:
    family = family_of(name)

    assert bool(family.levels) != (family.budget is not None)

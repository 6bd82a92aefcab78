"""Every path of every inbound API leads to a wire format and an operation."""

from __future__ import annotations

import pytest

from nexus_core.dialects.inbound import DIALECTS, INBOUND, PATHS, meant_path, operation_at
from nexus_core.types import Operation


def test_no_two_apis_publish_the_same_path() -> None:
    assert len(INBOUND) == sum(len(dialect.paths) for dialect in DIALECTS)


def test_a_path_leads_to_what_is_published_there() -> None:
    for path, asked in INBOUND.items():
        assert asked.dialect.paths[asked.operation] == path
        assert operation_at(path) is asked.operation


def test_a_path_that_only_another_version_knows_stands_for_a_chat() -> None:
    assert operation_at("/v9/messages") is Operation.CHAT


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("/chat/completions", "/v1/chat/completions"),
        ("/embeddings", "/v1/embeddings"),
        ("/responses", "/v1/responses"),
        ("/models", "/v1/models"),
        ("/v1/v1/chat/completions", "/v1/chat/completions"),
        ("/openai/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/v1/messages", "/v1/messages"),
        ("/v1/v1/messages/count_tokens", "/v1/messages/count_tokens"),
        ("/anthropic/v1/messages", "/v1/messages"),
        ("/v1/api/chat", "/api/chat"),
        ("/v1/api/tags", "/api/tags"),
        (
            "/v1/v1beta/models/sk-x:streamGenerateContent",
            "/v1beta/models/{model}:streamGenerateContent",
        ),
        ("/models/m:generateContent", "/v1beta/models/{model}:generateContent"),
    ],
)
def test_what_a_wrong_base_url_asks_for_is_found(path: str, meant: str) -> None:
    assert meant_path(path) == meant


@pytest.mark.parametrize("path", ["/", "/chat", "/v1", "/v1/files", "/nexus/state", "//", "v1"])
def test_nothing_is_guessed_of_other_paths(path: str) -> None:
    assert meant_path(path) is None


def test_every_published_path_is_found_below_another_root() -> None:
    assert [meant_path(f"/any{path}") for path in PATHS] == [*PATHS]

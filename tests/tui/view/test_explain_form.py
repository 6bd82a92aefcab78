"""The explain form: what a request of the list would ask again, as a question."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nexus_core.observe.phases import record_of
from nexus_core.observe.record import RequestRecord
from nexus_core.types import Capability, PrivacyZone
from nexus_tui.view.explain_form import ExplainForm
from tests.observe import happened

HEADERS = (
    ("X-Nexus-Privacy-Zone", "restricted"),
    ("x-nexus-min-tier", " 2 "),
    ("X-Nexus-Backend", "a"),
    ("X-Nexus-Flexible", "true"),
)


def received(
    endpoint: str = "/v1/chat/completions",
    headers: tuple[tuple[str, str], ...] = HEADERS,
) -> RequestRecord:
    event = happened.received(
        endpoint=endpoint, is_streaming=True, client="laptop", headers=headers, body_bytes=4000
    )
    return record_of(event)


def test_a_request_of_the_list_is_asked_about_by_its_headers_and_its_size() -> None:
    form = ExplainForm.of_request(received())

    question = form.question(usable=("b",))

    assert (question.model, question.client, question.usable) == ("m", "laptop", ("b",))
    assert question.demand.prompt_tokens == 1000
    assert question.demand.capabilities == {Capability.CHAT}
    assert question.hints.zone is PrivacyZone.RESTRICTED
    assert (question.hints.min_tier, question.hints.backend) == (2, "a")
    assert question.hints.flexible
    assert form.stream


@pytest.mark.parametrize(
    ("endpoint", "need"),
    [
        ("/v1/chat/completions", Capability.CHAT),
        ("/v1/completions", Capability.COMPLETIONS),
        ("/v1/embeddings", Capability.EMBEDDINGS),
    ],
)
def test_what_is_asked_depends_on_the_endpoint(endpoint: str, need: Capability) -> None:
    question = ExplainForm.of_request(received(endpoint=endpoint)).question()

    assert question.demand.capabilities == {need}


def test_tools_are_a_need_and_stand_in_the_request_that_is_sent() -> None:
    form = ExplainForm(model="m", tools=True, restricted=True, pin="a")

    assert form.question().demand.capabilities == {Capability.CHAT, Capability.TOOLS}
    sent = form.request()
    assert "tools" in json.loads(sent.body)
    assert (sent.zone, sent.backend) == (PrivacyZone.RESTRICTED, "a")


@pytest.mark.parametrize("tier", ["", "5", "x", "-1"])
def test_a_tier_that_is_none_is_not_asked_for(tier: str) -> None:
    row = received(headers=(("X-Nexus-Min-Tier", tier),))

    assert ExplainForm.of_request(row).min_tier is None


_RECORDED = Path(__file__).parents[2] / "data" / "claude_code" / "03-turn-2-tool-results.json"


def test_a_body_that_was_kept_is_asked_about_as_its_own_api_reads_it() -> None:
    body = json.dumps(json.loads(_RECORDED.read_text("utf-8"))["body"]).encode()
    row = received("/v1/messages")

    question = ExplainForm.of_captured(row, body).question()

    assert Capability.TOOLS in question.demand.capabilities
    assert question.demand.completion_limit == 64_000
    assert question.demand.prompt_tokens not in (0, row.body_bytes // 4)
    assert question.hints.zone is PrivacyZone.RESTRICTED


def test_a_body_of_gemini_is_read_with_the_model_of_its_path() -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "hi " * 50}]}],
            "tools": [{"functionDeclarations": [{"name": "look", "description": "x"}]}],
            "generationConfig": {"maxOutputTokens": 77}}  # fmt: skip
    row = received("/v1beta/models/{model}:generateContent")

    demand = ExplainForm.of_captured(row, json.dumps(body).encode()).question().demand

    assert demand.completion_limit == 77
    assert Capability.TOOLS in demand.capabilities


@pytest.mark.parametrize("body", [None, b"{}", b"no JSON"])
def test_without_a_body_that_can_be_read_its_size_has_to_do(body: bytes | None) -> None:
    row = received("/v1/messages")

    assert ExplainForm.of_captured(row, body) == ExplainForm.of_request(row)

"""docs/apis.md is true: which API a backend of each kind is asked in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from tests.contract.scripted_upstream import answers
from tests.scenarios.nexus import backend, cloud, running, upstreams

PAGE = Path(__file__).parents[2] / "docs" / "apis.md"
TURN = [{"role": "user", "content": "hi"}]
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"model": "m", "messages": TURN}),
    "Messages": ("/v1/messages", {"model": "m", "max_tokens": 9, "messages": TURN}),
    "Responses": ("/v1/responses", {"model": "m", "input": "hi"}),
    "Ollama": ("/api/chat", {"model": "m", "messages": TURN, "stream": False}),
    "Gemini": (
        "/v1beta/models/m:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
    ),
}
_EVERY_API = ("messages", "responses", "ollama")
BACKENDS: dict[str, Callable[[str], BackendConfig]] = {
    "Anthropic": lambda url: cloud("one", url, type=BackendType.ANTHROPIC),
    "OpenAI": lambda url: cloud("one", url, type=BackendType.OPENAI),
    "Google": lambda url: cloud("one", url, type=BackendType.GOOGLE),
    "local, chat only": lambda url: backend("one", url, apis=()),
    "local, speaks it": lambda url: backend("one", url, apis=_EVERY_API),
}


def cells() -> Iterator[tuple[str, str, str]]:
    """API, kind of backend and what the page says of both."""
    text = PAGE.read_text("utf-8")
    table = text.partition("<!-- asked: begin -->")[2].partition("<!-- asked: end -->")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()
    ]
    (_, *kinds), _, *rest = rows
    for api, *told in rest:
        for kind, cell in zip(kinds, told, strict=True):
            yield api, kind, cell


def test_the_page_has_every_api_and_kind() -> None:
    assert {(api, kind) for api, kind, _ in cells()} == {
        (api, kind) for api in REQUESTS for kind in BACKENDS
    }


@pytest.mark.parametrize(("api", "kind", "cell"), cells())
async def test_a_backend_is_asked_as_the_page_says(api: str, kind: str, cell: str) -> None:
    if cell == "–":  # noqa: RUF001 - no such server
        return
    path, body = REQUESTS[api]
    expected = path if cell == "as it is" else REQUESTS[cell.removeprefix("→ ")][0]

    async with upstreams(answers({"error": {"message": "no"}}, 400)) as (upstream,):
        async with running(BACKENDS[kind](upstream.url)) as nexus:
            await nexus.http.post(path, json=body)

        assert upstream.received[0].target.partition("?")[0] == expected


# What a translation leaves out or refuses ---------------------------------------------------------

TOOL = {"type": "web_search_20250305", "name": "web_search"}
GENERATE = ("/api/generate", {"model": "m", "prompt": "hi", "stream": False})
CHAT_ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}
    ],
}
ANTHROPIC_ANSWER = {
    "id": "1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "ok"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


class Case(NamedTuple):
    """A field that a column of the page names, in a request."""

    api: str
    name: str  # as the page has it
    fields: dict[str, Any]
    kind: str = "local, chat only"
    request: tuple[str, dict[str, Any]] | None = None  # None: that of the API
    said: str | None = None  # in the refusal; None: the field's name


SILENT = [
    Case("chat", "user", {"user": "u"}, "Anthropic"),
    Case("chat", "metadata", {"metadata": {"a": "b"}}, "Anthropic"),
    Case("Messages", "cache_control", {"cache_control": {"type": "ephemeral"}}),
    Case("Responses", "include", {"include": ["reasoning.encrypted_content"]}),
    Case("Responses", "prompt_cache_key", {"prompt_cache_key": "k"}),
    Case("Responses", "metadata", {"metadata": {"a": "b"}}),
    Case("Responses", "text.verbosity", {"text": {"verbosity": "low"}}, "Anthropic"),
    Case("Ollama", "keep_alive", {"keep_alive": "5m"}),
]
LEFT_OUT = [
    Case("Messages", "context_management", {"context_management": {"edits": []}}),
    Case("Messages", "metadata", {"metadata": {"user_id": "u"}}),
    Case("Messages", "top_k", {"top_k": 4}, "OpenAI"),
    Case("Responses", "web_search", {"tools": [{"type": "web_search"}]}),
    Case("Ollama", "num_ctx", {"options": {"num_ctx": 9}}, "OpenAI"),
    Case("Ollama", "mirostat", {"options": {"mirostat": 1}}, "OpenAI"),
    Case("Gemini", "safetySettings", {"safetySettings": [{"category": "c"}]}),
    Case("Gemini", "topK", {"generationConfig": {"topK": 4}}, "OpenAI"),
]
REFUSED = [
    Case("chat", "n", {"n": 2}, "Anthropic"),
    Case("chat", "logprobs", {"logprobs": True}, "Anthropic"),
    Case("Messages", "web_search_…", {"tools": [TOOL]}),
    Case("Messages", "mcp_servers", {"mcp_servers": [{"type": "url", "url": "u", "name": "n"}]}),
    Case("Responses", "store: true", {"store": True}),
    Case("Responses", "previous_response_id", {"previous_response_id": "resp_1"}),
    Case("Responses", "conversation", {"conversation": "conv_1"}),
    Case("Responses", "background", {"background": True}),
    Case("Ollama", "template", {"template": "t"}, request=GENERATE),
    Case("Ollama", "context", {"context": [1]}, request=GENERATE),
    Case("Ollama", "raw", {"raw": True}, "Anthropic", GENERATE, "/v1/completions"),
    Case("Gemini", "googleSearch", {"tools": [{"googleSearch": {}}]}),
    Case("Gemini", "codeExecution", {"tools": [{"codeExecution": {}}]}),
    Case("Gemini", "cachedContent", {"cachedContent": "cachedContents/1"}),
]


def named(column: int) -> set[tuple[str, str]]:
    """API and each field that a column of the second table names."""
    table = PAGE.read_text("utf-8").partition("<!-- kept: begin -->")[2]
    rows = table.partition("<!-- kept: end -->")[0].strip().splitlines()[2:]
    told = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    options = {'unsupported_params = "reject"', "options"}
    return {
        (cells[0], name)
        for cells in told
        for name in re.findall("`([^`]+)`", cells[column])
        if name not in options
    }


@pytest.mark.parametrize(("column", "cases"), [(2, [*LEFT_OUT, *SILENT]), (3, REFUSED)])
def test_every_field_that_the_page_names_is_tried(column: int, cases: list[Case]) -> None:
    assert {(case.api, case.name) for case in cases} == named(column)


async def sent(case: Case) -> tuple[Any, str]:
    """The answer, and the body that the backend got."""
    path, body = case.request or REQUESTS[case.api]
    told = ANTHROPIC_ANSWER if case.kind == "Anthropic" else CHAT_ANSWER
    async with upstreams(answers(told)) as (upstream,):
        async with running(BACKENDS[case.kind](upstream.url)) as nexus:
            answer = await nexus.http.post(path, json=body | case.fields)
        return answer, upstream.received[0].body.decode() if upstream.received else ""


@pytest.mark.parametrize("case", [*LEFT_OUT, *SILENT], ids=lambda case: f"{case.api} {case.name}")
async def test_what_is_left_out_is_told_unless_it_changes_nothing(case: Case) -> None:
    answer, body = await sent(case)

    assert answer.status_code == 200, answer.text
    assert f'"{case.name.rpartition(".")[2]}"' not in body.replace('"role":"user"', "")
    told = answer.headers.get("x-nexus-dropped-params", "")
    assert (case.name in told) == (case in LEFT_OUT), told


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case.api} {case.name}")
async def test_what_is_refused_is_named(case: Case) -> None:
    answer, body = await sent(case)

    assert 400 <= answer.status_code < 500, answer.text
    assert not body
    assert (case.said or case.name.partition(":")[0].rstrip("…")) in answer.text

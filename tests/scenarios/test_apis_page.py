"""docs/apis.md is true: which API a backend of each kind is asked in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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

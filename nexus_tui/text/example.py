"""An example request for a model, to copy or to send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nexus_core.types import Endpoint

_ASKED: Mapping[Endpoint, Mapping[str, Any]] = {
    Endpoint.CHAT_COMPLETIONS: {"messages": [{"role": "user", "content": "hi"}]},
    Endpoint.COMPLETIONS: {"prompt": "hi"},
    Endpoint.EMBEDDINGS: {"input": "hi"},
}
_TOOL = {"type": "function", "function": {"name": "example", "parameters": {"type": "object"}}}


def example_body(
    model: str,
    endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS,
    *,
    stream: bool = False,
    tools: bool = False,
) -> dict[str, Any]:
    """The body of a request that says hi."""
    body = {"model": model, **_ASKED[endpoint]}
    if stream and endpoint is not Endpoint.EMBEDDINGS:
        body["stream"] = True
    if tools and endpoint is Endpoint.CHAT_COMPLETIONS:
        body["tools"] = [_TOOL]
    return body

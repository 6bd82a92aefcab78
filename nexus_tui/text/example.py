"""An example request for a model, to copy or to send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nexus_core.types import Operation

_ASKED: Mapping[Operation, Mapping[str, Any]] = {
    Operation.CHAT: {"messages": [{"role": "user", "content": "hi"}]},
    Operation.COMPLETIONS: {"prompt": "hi"},
    Operation.EMBEDDINGS: {"input": "hi"},
}
_TOOL = {"type": "function", "function": {"name": "example", "parameters": {"type": "object"}}}


def example_body(
    model: str,
    operation: Operation = Operation.CHAT,
    *,
    stream: bool = False,
    tools: bool = False,
) -> dict[str, Any]:
    """The body of a request that says hi."""
    body = {"model": model, **_ASKED[operation]}
    if stream and operation is not Operation.EMBEDDINGS:
        body["stream"] = True
    if tools and operation is Operation.CHAT:
        body["tools"] = [_TOOL]
    return body

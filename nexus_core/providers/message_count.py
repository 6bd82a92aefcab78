"""A server's own count of a Messages request's tokens."""

from __future__ import annotations

from nexus_core.dialects.parsing import parse_json
from nexus_core.providers.http import HttpAgent, read_small
from nexus_core.types import is_object
from nexus_core.upstream.base import Headers

COUNT_PATH = "/v1/messages/count_tokens"


async def ask_count(agent: HttpAgent, body: bytes, headers: Headers) -> int | None:
    """Ask for the count of a request, given as the server takes it; None if it tells none.

    Raises:
        UpstreamError: there is no answer.
    """
    response = await agent.post(COUNT_PATH, body, more=headers)
    try:
        status, told = await read_small(response)
        counted = parse_json(told) if status == 200 else None
    except ValueError:
        return None
    tokens = counted.get("input_tokens") if is_object(counted) else None
    return tokens if isinstance(tokens, int) and tokens >= 0 else None
